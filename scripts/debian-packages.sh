#!/usr/bin/env bash
# Makes sure that Debian packages are installed: `debian-packages.sh docker.io iptables`.
# Touches nothing when they are. Installs as root, or through sudo where that needs no password.
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ! command -v apt-get >/dev/null; then
  echo "needed, and not installable here without apt-get: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if ((EUID != 0)); then
  if ! sudo -n true 2>/dev/null; then
    echo "needed: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet=2 --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}
echo "installing Debian packages: ${missing[*]}" >&2
# A new machine has old package lists or none; a prepared one should not pay for fetching them again.
install || { "${as_root[@]}" apt-get update --quiet=2 >&2 && install; }
