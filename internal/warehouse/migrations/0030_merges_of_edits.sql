-- Merges rewrite rows, again and again as their parts grow, and take as much CPU time as
-- inserts do. Parts of one size are merged when there are 16 of them, not 5: a row is
-- rewritten about a third less often, and a query finds twice as many parts. Up to 128 MiB
-- uncompressed, a part is one file of data and not two for each column, which have to be
-- made, synced, opened and removed (docs/adr/007). The same holds for the other tables that
-- events are stored in.
ALTER TABLE edits MODIFY SETTING merge_selector_base = 16, min_bytes_for_wide_part = 134217728
