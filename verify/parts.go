package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// part is tenants and times that are counted together.
type part struct {
	first, last string
	from, to    int64
	rows        uint64
}

func (p part) parameters() []any {
	return []any{
		clickhouse.Named("first", p.first), clickhouse.Named("last", p.last),
		clickhouse.Named("from", p.from), clickhouse.Named("to", p.to),
	}
}

// parts divides a scope into parts of about ChunkRows rows: some tenants, or some hours
// of one.
func (v *Verifier) parts(ctx context.Context, s scope) (parts []part, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("find hours: %w", err)
		}
	}()
	rows, err := v.conn().Query(ctx, hoursSQL, clickhouse.Named("tenant", s.tenant), clickhouse.Named("from", s.from), clickhouse.Named("to", s.to))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	hours := divider{scope: s, limit: v.cfg.ChunkRows}
	for rows.Next() {
		var tenant string
		var start uint32
		var count uint64
		if err := rows.Scan(&tenant, &start, &count); err != nil {
			return nil, err
		}
		hours.add(part{tenant, tenant, int64(start), int64(start) + hour, count})
	}
	return hours.divide(), rows.Err()
}

// divider makes parts out of hours, which come by tenant and time.
type divider struct {
	scope

	limit uint64
	// tenant is the hours of one tenant, joined as far as the limit allows.
	tenant []part
	parts  []part
}

func (d *divider) add(h part) {
	n := len(d.tenant)
	switch {
	case n > 0 && d.tenant[0].first != h.first:
		d.endTenant()
		d.tenant = append(d.tenant, h)
	case n > 0 && d.tenant[n-1].rows+h.rows <= d.limit:
		d.tenant[n-1].to = h.to
		d.tenant[n-1].rows += h.rows
	default:
		d.tenant = append(d.tenant, h)
	}
}

// endTenant joins a tenant that is one part with the ones before it.
func (d *divider) endTenant() {
	n := len(d.parts)
	if len(d.tenant) == 1 {
		d.tenant[0].from, d.tenant[0].to = d.from, d.to
		if last := n - 1; n > 0 && d.parts[last].to-d.parts[last].from == d.to-d.from && d.parts[last].rows+d.tenant[0].rows <= d.limit {
			d.parts[last].last = d.tenant[0].last
			d.parts[last].rows += d.tenant[0].rows
			d.tenant = d.tenant[:0]
		}
	}
	d.parts = append(d.parts, d.tenant...)
	d.tenant = d.tenant[:0]
}

func (d *divider) divide() []part {
	d.endTenant()
	return d.parts
}
