package warehouse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// pingTimeout is how long to wait for the HTTP server of ClickHouse.
	pingTimeout = 2 * time.Second
	// maxMessage is how much of an error of ClickHouse is shown.
	maxMessage = 1 << 10
)

// Formatter lets ClickHouse write results in formats of its own, such as Parquet, which
// it offers by HTTP alone.
type Formatter struct {
	// Version is that of ClickHouse: another one may write other bytes.
	Version string

	client http.Client
	url    url.URL
	auth   func(*http.Request)
}

// Formatter connects to ClickHouse's HTTP server, on the port that ClickHouse says and
// the host of the native one. It returns nil when that cannot be reached.
func (db *DB) Formatter(ctx context.Context) (*Formatter, error) {
	scheme := "http"
	if db.options.TLS != nil {
		scheme = "https"
	}
	f := &Formatter{auth: func(r *http.Request) {
		r.Header.Set("X-ClickHouse-User", cmp.Or(db.options.Auth.Username, "default"))
		r.Header.Set("X-ClickHouse-Key", db.options.Auth.Password)
	}}
	var port uint16
	err := db.conn.QueryRow(ctx, "SELECT version(), toUInt16(getServerPort('"+scheme+"_port'))").Scan(&f.Version, &port)
	if err != nil {
		return nil, ctx.Err() // it has no such server
	}
	host, _, err := net.SplitHostPort(db.options.Addr[0])
	if err != nil {
		return nil, fmt.Errorf("read address of ClickHouse: %w", err)
	}
	f.client.Transport = &http.Transport{TLSClientConfig: tlsOf(db.options.TLS), DisableKeepAlives: true, DisableCompression: true, DialContext: (&net.Dialer{Timeout: pingTimeout}).DialContext}
	f.url = url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(int(port))), Path: "/"}
	f.url.RawQuery = url.Values{"database": {db.options.Auth.Database}}.Encode()
	reachable, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := f.Write(reachable, io.Discard, "SELECT 1", nil); err != nil {
		return nil, ctx.Err()
	}
	return f, nil
}

func tlsOf(given *tls.Config) *tls.Config {
	if given == nil {
		return nil
	}
	return given.Clone()
}

// Write writes the result of a query, in the format that it names, to w.
func (f *Formatter) Write(ctx context.Context, w io.Writer, query string, settings map[string]string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read from ClickHouse at %s: %w", f.url.Host, err)
		}
	}()
	at := f.url
	values := at.Query()
	// After an error in the middle the answer has no end, instead of one that looks whole.
	values.Set("http_write_exception_in_output_format", "0")
	for name, value := range settings {
		values.Set(name, value)
	}
	at.RawQuery = values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), strings.NewReader(query))
	if err != nil {
		return err
	}
	f.auth(req)
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(resp.Body, maxMessage)) // what there is of it
		return fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(message)))
	}
	_, err = io.Copy(w, resp.Body)
	return err
}
