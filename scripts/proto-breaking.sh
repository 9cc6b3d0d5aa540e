#!/usr/bin/env bash
# Compares the protos with those of an earlier commit: AGAINST, or else the first of origin/main, main and HEAD~1 that
# is not the commit checked out here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

against=${AGAINST:-}
if [[ -z $against ]]; then
  head=$(git rev-parse --verify --quiet HEAD || true)
  for candidate in origin/main main HEAD~1; do
    commit=$(git rev-parse --verify --quiet "$candidate^{commit}") || continue
    # With local changes the commit itself is the one to compare with.
    if [[ $commit != "$head" || -n $(git status --porcelain -- proto) ]]; then
      against=$candidate
      break
    fi
  done
fi
if [[ -z $against ]] || ! git cat-file -e "$against:proto/buf.yaml" 2>/dev/null; then
  echo "no earlier protos to compare with"
  exit 0
fi

earlier=$(mktemp -d)
trap 'rm -rf "$earlier"' EXIT
git archive "$against" proto | tar --extract --directory "$earlier"
echo "comparing with $against"
buf breaking proto --against "$earlier/proto"
