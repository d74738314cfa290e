-- The definition that Flywheel brings along (signal.DefaultDefinition).
INSERT INTO definitions
SELECT
    1, 'default', toDateTime64('2026-11-23 00:00:00', 3, 'UTC'), 'Acceptance, retention, feedback and task outcome.',
    3600, 0, 2000000,
    3000, 2000, 3000, -4000, -3000,
    4000, [0, 1, 1, 2, 2, 2, 4], 2000,
    3000, 3000,
    [2000, -2000, 500, -1000, 1000, 2000, -6000, 3000, -3000]
