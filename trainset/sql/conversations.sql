-- Agent sessions with their steps. Parameters: see request.go.
SELECT
    session_id, started_at, user, repository, consents, toString(thumb) AS thumb, task_results, ended_reason,
    steps.kind, steps.role, steps.text, steps.call_id, steps.tool, steps.arguments, steps.decision, steps.status, steps.error_type, steps.user_text, steps.time, steps.duration_us,
    arrayMax(steps.time) AS last_at
FROM trajectories(tenant = {tenant:String}, from_ms = {from_ms:Int64}, to_ms = {to_ms:Int64})
WHERE notEmpty(steps)
    {{- if not .Unsettled}}
    AND (ended_reason != '' OR last_at <= fromUnixTimestamp64Milli({watermark_ms:Int64}) - INTERVAL 1 HOUR)
    {{- end}}
    {{- range .Filters}}
    AND {{if eq .Column "model"}}hasAny(steps.model, {{.Values}}){{else}}{{.Column}} IN {{.Values}}{{end}}
    {{- end}}
ORDER BY started_at, session_id
