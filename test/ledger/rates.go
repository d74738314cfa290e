package ledger

import (
	"context"
	"fmt"
	"strings"
)

// visible counts, by tenant, what the rows themselves say.
const visible = `SELECT tenant, 'shown', toUInt64(countIf(shown_at > 0 AND outcome != 4)) FROM
	(SELECT tenant, max(shown_at) AS shown_at, bitAnd(max(outcome_rank), 255) AS outcome FROM interactions GROUP BY tenant, started_at, interaction_id) GROUP BY tenant
	UNION ALL SELECT tenant, 'accepted', toUInt64(countIf(shown_at > 0 AND outcome = 1)) FROM
	(SELECT tenant, max(shown_at) AS shown_at, bitAnd(max(outcome_rank), 255) AS outcome FROM interactions GROUP BY tenant, started_at, interaction_id) GROUP BY tenant
	UNION ALL SELECT tenant, 'rejected', toUInt64(countIf(shown_at > 0 AND outcome = 5)) FROM
	(SELECT tenant, max(shown_at) AS shown_at, bitAnd(max(outcome_rank), 255) AS outcome FROM interactions GROUP BY tenant, started_at, interaction_id) GROUP BY tenant
	UNION ALL SELECT tenant, 'opportunities', toUInt64(countIf(requested_at > 0)) FROM
	(SELECT tenant, max(requested_at) AS requested_at FROM opportunities GROUP BY tenant, started_at, opportunity_id) GROUP BY tenant`

// rates are counts by tenant and name.
type rates map[string]map[string]uint64

// compareRates compares the rates with the ledger's tally, and with the rows.
func (c *check) compareRates(ctx context.Context) ([]Finding, error) {
	got, err := c.rates(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := c.visible(ctx)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	note := func(kind Kind, tenant, name string, rows, got, want uint64) {
		findings = append(findings, Finding{Kind: kind, Table: "rates", Rows: rows, Detail: fmt.Sprintf("%s of tenant %s: %d, not %d", name, tenant, got, want)})
	}
	for tenant, counts := range c.ledger.tally() {
		for i, name := range tallied {
			n := got[tenant][name]
			if n < counts[i].least {
				note(Lost, tenant, name, counts[i].least-n, n, counts[i].least)
			}
			if n > counts[i].most {
				note(Duplicated, tenant, name, n-counts[i].most, n, counts[i].most)
			}
		}
	}
	for tenant, counts := range rows {
		for name, want := range counts {
			if n := got[tenant][name]; n < want {
				note(Lost, tenant, name+" in rows", want-n, n, want)
			} else if n > want {
				note(Duplicated, tenant, name+" in rows", n-want, n, want)
			}
		}
	}
	return findings, nil
}

func (c *check) rates(ctx context.Context) (rates, error) {
	var parts []string
	for _, name := range tallied {
		parts = append(parts, fmt.Sprintf("SELECT tenant, '%[1]s', sum(%[1]s) FROM (SELECT toString(tenant) AS tenant, %[1]s FROM rates FINAL) GROUP BY tenant", name))
	}
	return c.read(ctx, strings.Join(parts, " UNION ALL "))
}

func (c *check) visible(ctx context.Context) (rates, error) { return c.read(ctx, visible) }

func (c *check) read(ctx context.Context, sql string) (rates, error) {
	rows, err := c.db.Conn().Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := rates{}
	for rows.Next() {
		var tenant, name string
		var n uint64
		if err := rows.Scan(&tenant, &name, &n); err != nil {
			return nil, fmt.Errorf("read counts: %w", err)
		}
		if all[tenant] == nil {
			all[tenant] = map[string]uint64{}
		}
		all[tenant][name] = n
	}
	return all, rows.Err()
}
