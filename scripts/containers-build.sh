#!/usr/bin/env bash
# Builds the images holdfast-{registry,inference,training,monitoring,gateway,serving}:$IMAGE_TAG and, unless PROMETHEUS_IMAGE
# names another, holdfast-prometheus:$IMAGE_TAG. Needs an engine that answers.
#
# The binaries are compiled here, not in a build stage: an image then needs no base image with a Rust toolchain, which a
# machine that reaches only package registries could not pull, and cargo's cache is used. They are linked statically
# with glibc (2.34 or newer, whose name service needs no shared objects), so that `FROM scratch` is enough.
#
#   CONTAINER_BIN_DIR   take static binaries from here instead of compiling
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

services=(registry inference training monitoring gateway serving)
tag=${IMAGE_TAG:-local}
context=target/containers
host=$(rustc -vV | sed -n 's/^host: //p')

if [[ -z ${CONTAINER_BIN_DIR:-} ]]; then
  if [[ $host != *-linux-gnu ]]; then
    echo "images are built on a linux-gnu host, this is $host" >&2
    exit 1
  fi
  packages=(-p holdfast-cli)
  for service in "${services[@]}"; do packages+=(-p "holdfast-$service"); done
  # With --target named, the flag reaches our binaries and not the build scripts and macros, which must stay dynamic.
  RUSTFLAGS="${RUSTFLAGS:-} -Ctarget-feature=+crt-static" \
    cargo build --release --locked --target "$host" "${packages[@]}" --bins
  CONTAINER_BIN_DIR=target/$host/release
fi

rm -rf "$context"
install --directory --mode=0755 "$context"/{bin,certs,empty,prometheus}
for service in "${services[@]}"; do
  binary=$CONTAINER_BIN_DIR/holdfast-$service
  if readelf --program-headers --wide "$binary" | grep --quiet INTERP; then
    echo "$binary is linked dynamically and would not start in an empty image" >&2
    exit 1
  fi
  install --mode=0755 "$binary" "$context/bin/"
done
# For TLS to S3 and other servers outside; without the file the services still run, with plain text inside.
if [[ -r /etc/ssl/certs/ca-certificates.crt ]]; then
  install --mode=0644 /etc/ssl/certs/ca-certificates.crt "$context/certs/"
fi

# Engines without the newer builder say so in different ways; the Dockerfile works with both.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0

revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
build() {
  local log
  # Not quite silent when all is well: the classic builder announces its end at every call.
  log=$(docker build --file deploy/docker/Dockerfile --target "$1" --tag "holdfast-$1:$tag" \
    --label "org.opencontainers.image.title=holdfast-$1" \
    --label "org.opencontainers.image.revision=$revision" \
    "$context" 2>&1) || {
    echo "$log" >&2
    return 1
  }
  echo "built holdfast-$1:$tag"
}
for service in "${services[@]}"; do build "$service"; done

if [[ -z ${PROMETHEUS_IMAGE:-} ]]; then
  debian=.tools/prometheus/root
  if [[ ! -x $debian/usr/bin/prometheus ]]; then
    echo "make containers-build unpacks Debian's Prometheus first; elsewhere set PROMETHEUS_IMAGE=prom/prometheus:VERSION" >&2
    exit 1
  fi
  rootfs=$context/prometheus
  install -D --mode=0755 --target-directory="$rootfs/bin" "$debian"/usr/bin/{prometheus,promtool}
  install --directory --mode=0755 "$rootfs/usr/share"
  cp --recursive "$debian/usr/share/prometheus" "$rootfs/usr/share/"
  # The two files of the C library that the binary asks for, each where it asks for it.
  loader=$(readelf --program-headers --wide "$debian/usr/bin/prometheus" | sed -n 's/.*interpreter: \(.*\)]/\1/p')
  for library in "$debian"/lib/*/libc.so.6; do
    install -D --mode=0755 "$library" "$rootfs/${library#"$debian"/}"
    install -D --mode=0755 "${library%/*}/${loader##*/}" "$rootfs$loader"
  done
  build prometheus
fi
