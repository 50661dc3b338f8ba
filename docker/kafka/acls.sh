#!/usr/bin/env bash
# The rights that each role of a pipeline needs on a Kafka with ACLs, and no more: no Create, nothing on the cluster.
#
#   acls.sh ROLE USER    print the commands that give USER the rights of ROLE; nothing is changed until they run:
#                        acls.sh worker tidemark-worker | bash
#
# ROLE is one of
#   publisher            python -m replay publish
#   worker               python -m app align
#   model                gpu_sink, in a model service
#   operator             python -m app audit, watermarks, doctor, progress, late, dead
# Topics are made and deleted by whoever administers the cluster: python -m app topics apply, topics repartition, reset.
#
#   PREFIX=tidemark      pipeline.prefix
#   STREAMS="trade quote"             pipeline.left and pipeline.right
#   NODES="tick bars"                 the nodes of the graph whose rows go out; none without a graph
#   TOPICS="trade=md.trade late=md.late.v1"   names of topics that are not PREFIX.NAME: [outputs], [streams.NAME] topic
#   GROUP=tidemark-gpu-sink           the group= of the model service, where it commits to one
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server host:port --command-config admin.properties"
set -euo pipefail

prefix=${PREFIX:-tidemark}
group=${GROUP:-tidemark-gpu-sink}
acls=${KAFKA_ACLS:-kafka-acls.sh --bootstrap-server 127.0.0.1:9092}
role=${1:-} user=${2:-}

fail() { echo "acls: $*" >&2; exit 2; }

topic_of() { # $1: a stream, an output or a node
  local pair
  for pair in ${named[@]+"${named[@]}"}; do
    if [[ ${pair%%=*} == "$1" ]]; then echo "${pair#*=}"; return; fi
  done
  echo "$prefix.$1"
}

topics() { local name; for name in "$@"; do printf ' --topic %s' "$(topic_of "$name")"; done; }

allow() { # $1: operations, the rest: resources
  local operation operations=
  for operation in $1; do operations+=" --operation $operation"; done
  shift
  echo "$acls --add --allow-principal User:$user$operations $*"
}

[[ $user =~ ^[A-Za-z0-9._-]+$ ]] || fail "say a role and a user: acls.sh worker tidemark-worker"
read -ra streams <<<"${STREAMS:-trade quote}"
read -ra nodes <<<"${NODES:-}"
named=" ${TOPICS:-}"
read -ra named <<<"${named// last_known=/ last-known=}"
for name in ${named[@]+"${named[@]}"}; do
  [[ $name =~ ^[A-Za-z0-9_-]+=[A-Za-z0-9._-]+$ ]] || fail "TOPICS has '$name': write name=topic, such as aligned=md.aligned.v1"
done
inputs=$(topics "${streams[@]}")
nodes_out=
if [[ ${#nodes[@]} -gt 0 ]]; then nodes_out=$(topics tasks state "${nodes[@]}"); fi
# Read and Write include Describe.  DescribeConfigs is for the check, at start, that topics are as they should be.
case $role in
  publisher)
    allow "Read Write DescribeConfigs" "$inputs" # Read is what Kafka asks of whoever commits positions
    allow "Read" "--group $prefix-publisher"
    allow "Write" "--transactional-id $prefix-publisher"
    ;;
  worker)
    allow "Read DescribeConfigs" "$inputs"
    allow "Write DescribeConfigs" "$(topics aligned late dead last-known)$nodes_out"
    allow "Read" "$(topics late dead last-known)${nodes_out:+$(topics aligned tasks state)}" # a restart reads back what it set aside, and what nodes lack
    allow "Read" "--group $prefix"
    allow "Describe" "--group $prefix- --resource-pattern-type prefixed"
    allow "Write" "--transactional-id $prefix- --resource-pattern-type prefixed" # one for each worker.slot, and SLOT:place for whether it is ours
    ;;
  model)
    allow "Read" "$(topics aligned ${nodes[@]+"${nodes[@]}"}) --group $group"
    ;;
  operator)
    allow "Read DescribeConfigs" "$inputs$(topics aligned late dead last-known)$nodes_out"
    allow "Describe" "--group $prefix"
    allow "Describe" "--group $prefix- --resource-pattern-type prefixed"
    allow "Write" "$inputs" # dead replay sends letters back, progress its records
    allow "Read" "--group $prefix-dead-replay"
    allow "Write" "--transactional-id $prefix-dead-replay"
    ;;
  *) fail "no role '$role': the roles are publisher, worker, model, operator" ;;
esac
