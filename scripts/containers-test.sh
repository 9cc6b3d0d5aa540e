#!/usr/bin/env bash
# Runs the stack of compose/docker-compose.yaml in containers and uses it as a person would: trains on simulated
# customers, predicts over REST and gRPC, looks at Prometheus, restarts everything and predicts again. Ends what it
# started, an engine of its own included; exits non-zero when anything is not as it should be.
#
#   CONTAINER_BIN_DIR   static binaries to use instead of compiling
#   PROMETHEUS_IMAGE    Prometheus image to use instead of Debian's Prometheus
#   KEEP_LOGS=DIR       write the containers' logs there, also when all is well
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/container-engine.sh
source scripts/container-engine.sh

# The environment wins over compose's env file, and the caller's stack is not ours.
unset HTTP_PORT INFERENCE_PORT REGISTRY_PORT TRAINING_PORT MONITORING_PORT PROMETHEUS_PORT HEALTH_INTERVAL
unset "${!COMPOSE_@}" "${!HOLDFAST_@}"

services=(registry inference training monitoring gateway)
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-containers.XXXXXX")
compose=()
stack_is_up=''

check() { printf '  ok  %s\n' "$*"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
# within SECONDS WHAT COMMAND…: repeats a command until it succeeds. The engine has no event for most of what is
# waited for, so this asks again and again.
within() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >"$work/last" 2>&1; do
    ((SECONDS < deadline)) || fail "$what, in time; last answer: $(tail -c 500 "$work/last")"
    sleep 0.3
  done
}
project=holdfast-test-$$
stack() {
  "${compose[@]}" --project-name "$project" --env-file "$work/env" --file compose/docker-compose.yaml "$@"
}
# Asked of the engine, because every call of the older compose takes a second.
container() {
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"
}
port() { docker port "$(container "$1")" "$2" | sed 's/.*://'; }
inspect() { docker inspect --format "$2" "$(container "$1")"; }
# field EXPRESSION: reads JSON on standard input into `x` and prints the expression.
field() { python3 -c 'import json, sys; x = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

tear_down() {
  local status=$?
  trap - EXIT INT TERM
  if [[ -n $stack_is_up ]]; then
    if ((status != 0)); then
      stack ps || true
      stack logs --no-color --tail 40 || true
    fi
    if [[ -n ${KEEP_LOGS:-} ]]; then
      mkdir -p "$KEEP_LOGS"
      stack logs --no-color >"$KEEP_LOGS/containers.log" 2>&1 || true
    fi
    stack down --volumes --remove-orphans --timeout 10 >/dev/null 2>&1 || echo "could not remove the stack" >&2
  fi
  engine_stop
  rm -rf "$work"
  exit "$status"
}
trap tear_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bring_up() {
  stack_is_up=yes
  stack up --detach --no-color >"$work/up.log" 2>&1 || fail "compose up: $(tail -n 20 "$work/up.log")"
  http=http://127.0.0.1:$(port gateway 8080)
  grpc=http://127.0.0.1:$(port inference 50051)
  prometheus=http://127.0.0.1:$(port prometheus 9090)
}
is_healthy() {
  inspect "$1" '{{.State.Status}} {{json .State.Health.Log}}'
  [[ $(inspect "$1" '{{.State.Health.Status}}') == healthy ]]
}
query() { curl --silent --show-error --fail --get --data-urlencode "query=$1" "$prometheus/api/v1/query"; }
all_targets_up() {
  [[ $(query 'count(up{job="holdfast"} == 1)' | field 'x["data"]["result"][0]["value"][1]') == "${#services[@]}" ]]
}

check_confinement() {
  local name=$1 user=$2 pid status
  [[ $(inspect "$name" '{{.Config.User}}') == "$user:$user" ]] || fail "$name: configured user is not $user"
  [[ $(inspect "$name" '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}') == \
    'true [ALL] [no-new-privileges:true]' ]] || fail "$name: is not confined"
  [[ $(inspect "$name" '{{.HostConfig.Memory}}') != 0 ]] || fail "$name: has no memory limit"
  [[ $(inspect "$name" '{{.HostConfig.PidsLimit}}') == 256 ]] || fail "$name: has no process limit"
  # What the kernel says of the process, where the engine's processes can be seen from here.
  pid=$(inspect "$name" '{{.State.Pid}}')
  status=$(cat "/proc/$pid/status" 2>/dev/null || true)
  if [[ -n $status ]]; then
    grep --quiet --extended-regexp "^Uid:\s+$user\s" <<<"$status" || fail "$name: runs as another user"
    grep --quiet --extended-regexp '^CapEff:\s+0+$' <<<"$status" || fail "$name: has capabilities"
    grep --quiet --extended-regexp '^NoNewPrivs:\s+1$' <<<"$status" || fail "$name: may gain privileges"
    grep --quiet --extended-regexp '^([^ ]+ ){4}/ ro[, ]' "/proc/$pid/mountinfo" || fail "$name: root is writable"
  fi
  [[ $(docker port "$(container "$name")" | grep --invert-match --count -- '-> 127\.0\.0\.1:') == 0 ]] ||
    fail "$name: has a port that is open beyond this machine"
}

# The row in both spellings; absent optional features are part of the point.
rest_row='{"Total_Relationship_Count":3,"Credit_Limit":3200.0,"Total_Revolving_Bal":0,"Total_Amt_Chng_Q4_Q1":0.62,
  "Total_Trans_Amt":2100,"Total_Trans_Ct":38,"Total_Ct_Chng_Q4_Q1":0.45,"Avg_Utilization_Ratio":0.0}'
grpc_row='{"customer":{"total_relationship_count":3,"credit_limit":3200.0,"total_revolving_bal":0,"total_amt_chng_q4_q1":0.62,
  "total_trans_amt":2100,"total_trans_ct":38,"total_ct_chng_q4_q1":0.45,"avg_utilization_ratio":0.0}}'

predict_rest() {
  curl --silent --show-error --fail --header 'content-type: application/json' --data "$rest_row" "$http/predict"
}
predict_grpc() {
  # The schema comes from the server's reflection, as for any stranger.
  buf curl --protocol grpc --http2-prior-knowledge --data "$grpc_row" "$grpc/holdfast.inference.v1.InferenceService/Predict"
}
# predict: sets `probability` and `version`, which REST and gRPC must agree on.
predict() {
  local over_rest over_grpc
  over_rest=$(predict_rest) || fail "REST prediction"
  over_grpc=$(predict_grpc) || fail "gRPC prediction"
  probability=$(field 'x["probabilities"][0]' <<<"$over_rest")
  version=$(field 'x["model_version"]' <<<"$over_rest")
  [[ $(field 'x["prediction"].get("probability", 0.0)' <<<"$over_grpc") == "$probability" ]] ||
    fail "REST and gRPC differ: $over_rest and $over_grpc"
  [[ $(field '0 < x <= 1' <<<"$probability") == True ]] || fail "not a probability: $probability"
}

main() {
  local engine cli started=$SECONDS
  mkdir "$work/engine"
  engine_ensure "$work/engine"
  engine=$(docker version --format '{{.Server.Version}}')
  echo "container engine $engine, $("${compose[@]}" version --short)"

  scripts/containers-build.sh
  cli=${CONTAINER_BIN_DIR:-target/$(rustc -vV | sed -n 's/^host: //p')/release}/holdfast
  # Port 0: the engine takes a free one, so that nothing else on this machine can be in the way.
  cat >"$work/env" <<EOF
IMAGE_TAG=${IMAGE_TAG:-local}
PROMETHEUS_IMAGE=${PROMETHEUS_IMAGE:-holdfast-prometheus:${IMAGE_TAG:-local}}
HTTP_PORT=0
INFERENCE_PORT=0
REGISTRY_PORT=0
TRAINING_PORT=0
MONITORING_PORT=0
PROMETHEUS_PORT=0
HEALTH_INTERVAL=1s
EOF

  bring_up
  for name in registry training monitoring gateway prometheus; do
    within 60 "$name is healthy" is_healthy "$name"
  done
  check "registry, training, monitoring, gateway and prometheus are healthy"
  for name in "${services[@]}"; do check_confinement "$name" 65532; done
  check_confinement prometheus 65534
  check "all run as numeric users on a read-only root without capabilities, with limits, on 127.0.0.1 only"
  is_healthy inference >/dev/null && fail "inference says it is ready without a model"
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' "$http/health") == 503 ]] ||
    fail "the gateway says it is healthy without a model"
  check "without a model, inference is not ready and the gateway answers 503"

  "$cli" simulate customers --out "$work/customers.csv" --rows 3000 --seed 1 >"$work/simulate.log" 2>&1 ||
    fail "simulate: $(tail -n 5 "$work/simulate.log")"
  "$cli" train --source "$work/customers.csv" --json --url "$http" >"$work/train.json" 2>"$work/train.log" ||
    fail "train: $(tail -n 10 "$work/train.log" "$work/train.json")"
  [[ $(field 'x["accepted"]' <"$work/train.json") == True ]] || fail "the first model was refused: $(cat "$work/train.json")"
  check "trained version $(field 'x["version"]' <"$work/train.json"), test ROC-AUC $(field 'x["metrics"]["test_roc_auc"]' <"$work/train.json")"
  within 60 "inference is healthy with the new champion" is_healthy inference
  [[ $(curl --silent --fail "$http/health" | field 'x["model_loaded"]') == True ]] || fail "the gateway sees no model"
  predict
  check "version $version predicts $probability over REST and gRPC"
  local first_probability=$probability first_version=$version

  within 60 "Prometheus sees all services" all_targets_up
  [[ $(curl --silent --fail "$prometheus/api/v1/rules" |
    field 'sum(len(g["rules"]) for g in x["data"]["groups"]) > 0 and not any(r.get("lastError") for g in x["data"]["groups"] for r in g["rules"])') == True ]] ||
    fail "Prometheus has no working alert rules"
  check "Prometheus scrapes all five services and has its alert rules"

  for name in "${services[@]}"; do
    [[ $(inspect "$name" '{{.RestartCount}} {{.State.OOMKilled}}') == '0 false' ]] || fail "$name was restarted or ran out of memory"
  done
  stack stop >/dev/null 2>&1
  for name in "${services[@]}"; do
    [[ $(inspect "$name" '{{.State.ExitCode}}') == 0 ]] || fail "$name did not end cleanly on SIGTERM"
  done
  check "none was restarted, and all end with exit code 0 on SIGTERM"

  stack down --timeout 10 >/dev/null 2>&1
  bring_up
  within 60 "inference is healthy after a restart of everything" is_healthy inference
  within 60 "the gateway is healthy after a restart of everything" is_healthy gateway
  predict
  [[ $probability == "$first_probability" && $version == "$first_version" ]] ||
    fail "after a restart version $version predicts $probability, before version $first_version predicted $first_probability"
  check "new containers on the same volumes predict the same"
  echo "containers: all checks passed in $((SECONDS - started)) s"
}

main
