# shellcheck shell=bash
# Sourced: finds a container engine, or starts a private one that engine_stop ends without a trace.
#
# The private engine has its own socket and data directory in $1, so that it meets neither images nor settings of an
# engine that is installed but not running.

engine_pid=''
engine_dir=''

# engine_ensure DIR: after it, docker and "${compose[@]}" work.
engine_ensure() {
  engine_dir=$1
  local packages=()
  if ! docker info >/dev/null 2>&1; then
    packages+=(docker.io iptables)
  fi
  if ! docker compose version >/dev/null 2>&1; then
    packages+=(docker-compose)
  fi
  ((${#packages[@]} == 0)) || scripts/debian-packages.sh "${packages[@]}"

  # shellcheck disable=SC2034 # for the script that sources this
  compose=(docker-compose)
  # shellcheck disable=SC2034
  if docker compose version >/dev/null 2>&1; then compose=(docker compose); fi

  # A service manager may have started the engine just installed.
  docker info >/dev/null 2>&1 || engine_start
}

engine_start() {
  if ((EUID != 0)); then
    echo "no container engine answers; start one, or run this as root to have a private one started" >&2
    return 1
  fi
  # Nothing of the machine's network is changed, so nothing of it has to be put back: no default bridge (compose makes
  # networks of its own), no firewall rules, no forwarding. Published ports are served by the engine's own proxy, and
  # the containers reach each other but nothing outside.
  dockerd --host "unix://$engine_dir/docker.sock" --data-root "$engine_dir/data" --exec-root "$engine_dir/exec" \
    --pidfile "$engine_dir/docker.pid" \
    --bridge none --iptables=false --ip-forward=false --ip-masq=false >"$engine_dir/dockerd.log" 2>&1 &
  engine_pid=$!
  export DOCKER_HOST=unix://$engine_dir/docker.sock
  local deadline=$((SECONDS + 60))
  until docker info >/dev/null 2>&1; do
    if ! kill -0 "$engine_pid" 2>/dev/null || ((SECONDS > deadline)); then
      echo "dockerd did not start:" >&2
      tail -n 30 "$engine_dir/dockerd.log" >&2
      return 1
    fi
    sleep 0.2
  done
  echo "started a private container engine (pid $engine_pid)"
}

engine_stop() {
  [[ -n $engine_pid ]] || return 0
  kill "$engine_pid" 2>/dev/null || true
  # dockerd ends its containerd itself; the data directory can go only after both.
  wait "$engine_pid" 2>/dev/null || true
  engine_pid=''
  rm -rf "$engine_dir/data" "$engine_dir/exec"
  echo "stopped the container engine"
}
