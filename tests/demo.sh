#!/usr/bin/env bash
# The main job on real input: build the miniature web, serve it on loopback, run the pipeline, stop the server.
#
# usage: tests/demo.sh          (make demo and make symbols install and build first)
#
# CONFIG (configs/web-fashion.yaml), WORK (work/NAME of it), WEB (build/web; for configs/web-symbols*.yaml
# build/web-symbols). What is still true is not done again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
config=${CONFIG:-configs/web-fashion.yaml}
name=$(basename "$config" .yaml)
work=${WORK:-work/$name}
case $name in
web-symbols*) web=${WEB:-build/web-symbols} ;;
*) web=${WEB:-build/web} ;;
esac
begin=$SECONDS

say() { printf '\n== %s (%d:%02d)\n' "$1" $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60)); }

say "The miniature web, from packages"
case $name in
web-symbols*)
    tests/web/fetch-data.sh --symbols
    node tests/web/symbols/build.mjs
    node tests/web/symbols/adapt-teacher.mjs build/data/packages/detypify/train/model.onnx build/data/detypify-32.onnx 32
    ;;
*)
    tests/web/fetch-data.sh
    node tests/web/build-web.mjs
    ;;
esac

say "A web server on loopback"
mkdir -p "$work"
trap 'tests/web/serve.sh stop "$web" "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tests/web/serve.sh start "$web" "$work"

say "The pipeline: teacher, crawl, store, score, curate, distil, evaluate, export, report"
make --no-print-directory pipeline CONFIG="$config" WORK="$work" OPTS="${OPTS:-}"

say "The result"
read -ra options <<<"${OPTS:-}"
build/release/bin/webstill eval "$config" --work "$work" "${options[@]}"
# eval marks its manifest as looked at, which make takes for news: let the report look too.
build/release/bin/webstill report "$config" --work "$work" "${options[@]}" 2>/dev/null
echo
# The first method asked for: configurations name the best first.
asked=$(build/release/bin/webstill config "$config" "${options[@]}" --section distill |
    sed -n 's/^  methods: \[\(.*\)\]/\1/p' | tr -d '",')
for method in $asked; do
    [ -f "$work/runs/$method/student.onnx" ] && echo "student   $work/runs/$method/student.onnx" && break
done
echo "report    $work/report/index.html"
printf 'done in %d:%02d\n' $(((SECONDS - begin) / 60)) $(((SECONDS - begin) % 60))
