-- Merges rewrite rows, again and again as their parts grow, and take more CPU time than
-- inserts do. Parts of one size are merged when there are 16 of them, not 5: a row is
-- rewritten about a third less often, and a query finds twice as many parts (docs/adr/007).
-- The same holds for the other tables that events are stored in.
ALTER TABLE edits MODIFY SETTING merge_selector_base = 16
