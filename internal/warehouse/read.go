package warehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
)

// lookUp is how soon a connection for columns that waits for the server sees that its
// context has ended.
const lookUp = 200 * time.Millisecond

// ReadColumns runs a query whose result is read block by block, as whole columns into
// memory that is used again: it is for millions of rows. result names the columns and
// says where they go; block is called with the rows of each block once they are there.
// It opens a connection of its own.
func (db *DB) ReadColumns(ctx context.Context, query string, result proto.Results, block func(rows int) error) error {
	client, err := db.dialColumns(ctx)
	if err != nil {
		return fmt.Errorf("connect to read columns: %w", err)
	}
	err = client.Do(ctx, ch.Query{
		Body: query, Result: result, Settings: db.columnSettings(),
		OnResult: func(_ context.Context, b proto.Block) error {
			if b.Rows == 0 {
				return nil
			}
			return block(b.Rows)
		},
	})
	if closing := client.Close(); err == nil && !errors.Is(closing, ch.ErrClosed) {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("read columns: %w", err)
	}
	return nil
}

// columnSettings are the settings of all connections, as those of a query.
func (db *DB) columnSettings() (settings []ch.Setting) {
	for key, value := range db.options.Settings {
		settings = append(settings, ch.Setting{Key: key, Value: fmt.Sprint(value), Important: true})
	}
	return settings
}

// dialColumns connects to the first server that answers.
func (db *DB) dialColumns(ctx context.Context) (*ch.Client, error) {
	var errs []error
	for _, address := range db.options.Addr {
		options := ch.Options{
			Address: address, Database: db.options.Auth.Database, User: db.options.Auth.Username, Password: db.options.Auth.Password,
			Compression: db.columnCompression(), ClientName: "flywheel", DialTimeout: db.options.DialTimeout, ReadTimeout: lookUp,
			TLS: db.options.TLS,
		}
		if options.TLS == nil {
			options.Dialer = orderlyDialer{}
		}
		client, err := ch.Dial(ctx, options)
		if err == nil {
			return client, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

// columnCompression is the compression of all connections.
func (db *DB) columnCompression() ch.Compression {
	switch db.options.Compression.Method {
	case clickhouse.CompressionLZ4:
		return ch.CompressionLZ4
	case clickhouse.CompressionLZ4HC:
		return ch.CompressionLZ4HC
	case clickhouse.CompressionZSTD:
		return ch.CompressionZSTD
	default:
		return ch.CompressionDisabled
	}
}

// orderlyDialer opens connections that end in order.
type orderlyDialer struct{}

// DialContext implements the dialer of ch-go.
func (orderlyDialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	return dial(ctx, address)
}
