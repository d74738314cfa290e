-- As for edits.
ALTER TABLE opportunities MODIFY SETTING merge_selector_base = 16
