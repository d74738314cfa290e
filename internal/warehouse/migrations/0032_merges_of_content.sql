-- As for edits.
ALTER TABLE content MODIFY SETTING merge_selector_base = 16
