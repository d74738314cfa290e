-- Where in its session an opportunity was requested (Event.sequence): what the agent
-- could know is what came before. 0: not known.
ALTER TABLE opportunities
    ADD COLUMN IF NOT EXISTS requested_sequence SimpleAggregateFunction(max, UInt64) AFTER requested_at
