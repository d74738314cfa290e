#!/usr/bin/env bash
# Fetches the embedded ClickHouse engine (libchdb) from the npm registry into the
# cache folder where flywheel looks for it. Does nothing when it is there. Two at
# once do no harm: the library is moved into place whole.
set -euo pipefail

# npm checks what it downloads against the registry; where integrity is set, the
# package is also compared with what was tested.
integrity=
version=26.7.3-stable.1
case "$(uname -s)/$(uname -m)" in
  Linux/x86_64)
    package=linux-x64-gnu target=linux-amd64
    integrity=sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw== ;;
  Linux/aarch64)
    package=linux-arm64-gnu target=linux-arm64 ;;
  Darwin/arm64)
    package=darwin-arm64 target=darwin-arm64 ;;
  Darwin/x86_64)
    package=darwin-x64 target=darwin-amd64 ;;
  *)
    echo "fetch-engine: no engine for $(uname -s)/$(uname -m): use a ClickHouse server with --clickhouse-url" >&2
    exit 1 ;;
esac

# Where Go's os.UserCacheDir is.
if [ "$(uname -s)" = Darwin ]; then cache=$HOME/Library/Caches; else cache=${XDG_CACHE_HOME:-$HOME/.cache}; fi
folder=$cache/flywheel/engine/$version/$target
[ -e "$folder/libchdb.so" ] && exit 0

command -v npm >/dev/null || { echo "fetch-engine: npm is needed to fetch the engine (install Node.js)" >&2; exit 1; }
mkdir -p "$folder"
work=$(mktemp -d "$folder/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "Fetching the ClickHouse engine (178 MB, once per machine) ..." >&2
(cd "$work" && npm pack --silent "@chdb/lib-$package@$version" >/dev/null)
archive=$(echo "$work"/*.tgz)
got=sha512-$(node -e 'process.stdout.write(crypto.createHash("sha512").update(fs.readFileSync(process.argv[1])).digest("base64"))' "$archive")
if [ -n "$integrity" ] && [ "$got" != "$integrity" ]; then
  echo "fetch-engine: the package is not the one expected: $got, want $integrity" >&2
  exit 1
fi
tar -xzf "$archive" -C "$work" package/libchdb.so
mv "$work/package/libchdb.so" "$folder/libchdb.so"
echo "The engine is in $folder" >&2
