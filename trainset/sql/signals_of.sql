{{- /* What is chosen: the signals of the chunk from {from_ms} to {to_ms}. */ -}}
{{define "judged" -}}
SELECT *
FROM training_signals
WHERE definition = {definition:UInt32} AND tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
    AND shown
    {{- if not .Unsettled}}
    AND settles_at <= fromUnixTimestamp64Milli({watermark_ms:Int64})
    {{- end}}
    {{- range .Filters}}
    AND {{.Column}} IN {{.Values}}
    {{- end}}
    AND label IN {labels:Array(String)}
    {{- if .MinReward}}
    AND reward_e4 >= {min_reward:Int32}
    {{- end}}
    {{- if .MinRetention}}
    AND arraySum(retention_measured) > 1 AND retained_chars[1] > 0
    AND toUInt64(retained_chars[arrayLastIndex(m -> m = 1, retention_measured)]) * 10000 >= toUInt64(retained_chars[1]) * {min_retention:UInt32}
    {{- end}}
    {{- if .Predicate}}
    AND (
{{.Predicate}}
    )
    {{- end}}
{{- end}}

{{- /* The columns that every row has besides those of its format. */ -}}
{{define "row" -}}
interaction_id AS row_id,
    started_at AS row_at,
    toString(label) AS row_label,
    {{template "unit" .}} AS row_unit,
    if(user != '', user, toString(session_id)) AS row_user
{{- end}}

{{- /* What is never divided between splits; without it, the session. */ -}}
{{define "unit" -}}
{{if eq .Unit "repository"}}if(repository != '', repository, toString(session_id)){{else if eq .Unit "session"}}toString(session_id){{else}}if(user != '', user, toString(session_id)){{end}}
{{- end}}

{{- /* The texts of the chosen signals. Prompts may belong to the opportunity, which came before. */ -}}
{{define "texts" -}}
SELECT id, consents, prompt, output, final_text, alternative, correction
FROM content FINAL
WHERE tenant = {tenant:String}
    AND started_at >= fromUnixTimestamp64Milli({from_ms:Int64}) - INTERVAL 1 DAY AND started_at < fromUnixTimestamp64Milli({to_ms:Int64})
{{- end}}

{{- /* Why a row with texts is left out; '' when it is not. */ -}}
{{define "flaw" -}}
multiIf(
    {{if not .WithoutConsent}}consents != 4, 'no_consent',{{end}}
    no_text, 'no_text',
    {{if .MaxPrompt}}lengthUTF8(row_prompt) > {max_prompt:UInt32}, 'too_long',{{end}}
    {{if .MaxCompletion}}greatest(lengthUTF8(row_completion), lengthUTF8(row_rejected)) > {max_completion:UInt32}, 'too_long',{{end}}
    ''
)
{{- end}}
