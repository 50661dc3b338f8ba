#!/usr/bin/env bash
# A real one-node Kafka (KRaft) on loopback, without an engine: Maven fetches it, Java 17 runs it.
#
#   kafka.sh start     start it, or find it running; the last line printed is host:port
#   kafka.sh fetch     fetch what it runs from, where that can be, and say nothing; a start meanwhile waits for it
#   kafka.sh stop      stop it; its log and its port stay for the next start
#   kafka.sh status    one line saying what runs where; exit 1 when nothing does
#   kafka.sh address   host:port alone; exit 1 when it does not run; "address secure" that of the second listener
#
#   PORT=9092          force the port (else a free one, kept from start to start)
#   KAFKA_DIR=folder   where this broker lives (default build/kafka, installed ~/.cache/tidemark/kafka); another folder is another broker
#   KAFKA_ADVERTISED=host:port  where clients are sent, if not there (a proxy)
#   KAFKA_PYTHON=path  a Python that has confluent-kafka (default .venv/bin/python)
#   KAFKA_TLS=file     a PEM of key and certificate: for a second listener, SASL_SSL with SCRAM, whose users may do what ACLs
#                      allow them (acls.sh), while the first one stays open to whoever is on this machine; for trials and tests
#
# Exit status: 0 fine, 1 it did not come up, 2 something is missing or in the way.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
pom=$root/docker/kafka/pom.xml
version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$pom")
home=$root/build/kafka
[[ -e $root/Makefile ]] || home=${XDG_CACHE_HOME:-$HOME/.cache}/tidemark/kafka # installed: not among the packages
jars=$home/jars-$version
dir=${KAFKA_DIR:-$home}
[[ $dir == /* ]] || dir=$PWD/$dir
python=${KAFKA_PYTHON:-$root/.venv/bin/python}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
host=127.0.0.1
start_s_max=60

say() { echo "kafka: $*" >&2; }
fail() { local status=$1; shift; say "$*"; exit "$status"; }

# The pid file is believed only if that process is our broker: numbers are used again after a reboot.
pid_of_broker() {
  local pid
  [[ -s $dir/broker.pid ]] && pid=$(<"$dir/broker.pid") || return 1
  [[ $(ps -ww -o command= -p "$pid" 2>/dev/null) == *"kafka.Kafka $dir/server.properties"* ]] || return 1
  echo "$pid"
}

port_kept() { sed -n "s|^listeners=PLAINTEXT://$host:\([0-9]*\),.*|\1|p" "$dir/server.properties" 2>/dev/null | tail -n 1; }
secure_port_kept() { sed -n "s|^listeners=.*,SASL_SSL://$host:\([0-9]*\)$|\1|p" "$dir/server.properties" 2>/dev/null; }
controller_port_kept() { sed -n "s|^controller.quorum.voters=1@$host:||p" "$dir/server.properties" 2>/dev/null; }

is_taken() { (exec 3<>"/dev/tcp/$host/$1") 2>/dev/null; }

# Below 32768, where Linux starts handing out ports to outgoing connections.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)); do
    is_taken "$port" || { echo "$port"; return; }
  done
}

keep_or_find_port() { # $1: the port of the last start, if any
  if [[ -n $1 ]] && ! is_taken "$1"; then echo "$1"; else free_port; fi
}

answers() { # $1: port, $2: how long to try, in ms
  (cd "$root" && "$python" -c "from topics.kafka.bus import KafkaBus; KafkaBus('$host:$1').check($2)") 2>/dev/null
}

require_java() {
  local major
  command -v "$java" >/dev/null || fail 2 "java is not on PATH, nor in JAVA_HOME: install Java 17 or newer, or give BOOTSTRAP=host:port of a broker"
  major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  ((${major:-0} >= 17)) || fail 2 "Kafka $version needs Java 17 or newer, found ${major:-an unknown version}: set JAVA_HOME"
}

fetch_jars() {
  [[ -e $jars/.complete ]] && return
  command -v mvn >/dev/null || fail 2 "mvn is not on PATH: install Maven, or give BOOTSTRAP=host:port of a broker"
  say "fetching Apache Kafka $version through Maven (43 MB, once)"
  mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" \
    >"$dir/maven.log" 2>&1 || fail 1 "Maven could not fetch Kafka $version; see $dir/maven.log"
  touch "$jars/.complete"
}

fetch() {
  command -v "$java" >/dev/null && command -v mvn >/dev/null && command -v flock >/dev/null || return 0
  mkdir -p "$dir" "$home"
  exec 9>"$home/lock"
  flock 9
  fetch_jars 2>/dev/null
}

write_settings() { # $1: port, $2: controller port
  # One of everything, and the waits that only matter to many brokers and many members taken out.
  cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$2
listeners=PLAINTEXT://$host:$1,CONTROLLER://$host:$2
advertised.listeners=PLAINTEXT://${KAFKA_ADVERTISED:-$host:$1}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/log
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=2097152
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=50
group.consumer.heartbeat.interval.ms=100
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
auto.create.topics.enable=false
broker.session.timeout.ms=5000
broker.heartbeat.interval.ms=1000
END
}

add_secure_listener() { # $1: port, $2: controller port, $3: the secure listener's port; of equal keys the last one counts
  cat >>"$dir/server.properties" <<END
listeners=PLAINTEXT://$host:$1,CONTROLLER://$host:$2,SASL_SSL://$host:$3
advertised.listeners=PLAINTEXT://$host:$1,SASL_SSL://$host:$3
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$KAFKA_TLS
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
END
}

format_log() {
  local id
  [[ -e $dir/log/meta.properties ]] && return
  id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | tr -d '=')
  "$java" -Xmx128m -cp "$jars/*" kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" \
    >"$dir/format.log" 2>&1 || fail 1 "the log folder could not be prepared; see $dir/format.log"
}

# The broker outlives its starter: it must hold none of its locks and pipes, ours of this script among them.
close_inherited() {
  local number
  for number in /dev/fd/*; do
    number=${number##*/}
    ((number <= 2)) || eval "exec $number>&-"
  done
}

launch() {
  local detached=nohup
  command -v setsid >/dev/null && detached="nohup setsid" # a session of its own: Ctrl-C in the shell is not for it
  (
    close_inherited
    exec $detached "$java" -Xms256m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
      -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" \
      kafka.Kafka "$dir/server.properties" >"$dir/broker.log" 2>&1 </dev/null
  ) &
  local pid=$!
  echo "$pid" >"$dir/broker.pid"
  disown
  # For a moment it still has the name of this script, and would be taken for one that has ended.
  for _ in {1..40}; do
    if pid_of_broker >/dev/null || ! kill -0 "$pid" 2>/dev/null; then return; fi
    sleep 0.05
  done
}

await_answer() { # $1: port
  local until_s=$((SECONDS + start_s_max))
  while ((SECONDS < until_s)); do
    pid_of_broker >/dev/null || fail 1 "Kafka $version ended as it started at $host:$1; see $dir/broker.log"
    is_taken "$1" && answers "$1" 1000 && return
    sleep 0.2
  done
  stop >/dev/null 2>&1
  fail 1 "Kafka $version did not answer at $host:$1 within $start_s_max s; see $dir/broker.log"
}

start() {
  local port controller_port secure_port
  [[ -x $python ]] || fail 2 "$python is not there: run \`make sync\`, or set KAFKA_PYTHON"
  [[ -d $dir ]] || require_java # where a broker may run already, that is looked at first: it takes less
  mkdir -p "$dir" "$home"
  # One start at a time, over all folders: they share the jars.
  exec 9>"$home/lock"
  if command -v flock >/dev/null; then flock 9; fi
  if pid_of_broker >/dev/null; then
    port=$(port_kept)
    [[ -z ${PORT:-} || $PORT == "$port" ]] || fail 2 "it runs already, at $host:$port: stop it first to have it at port $PORT"
    await_answer "$port"
    echo "$host:$port"
    return
  fi
  require_java
  port=${PORT:-$(keep_or_find_port "$(port_kept)")}
  [[ $port =~ ^[0-9]{1,5}$ ]] || fail 2 "PORT=$port is not a port number"
  ! is_taken "$port" || fail 2 "port $port is in use: give another PORT=, or none for a free one"
  controller_port=$(keep_or_find_port "$(controller_port_kept)")
  fetch_jars
  secure_port=$(keep_or_find_port "$(secure_port_kept)")
  write_settings "$port" "$controller_port"
  if [[ -n ${KAFKA_TLS:-} ]]; then
    [[ $KAFKA_TLS == /* && -r $KAFKA_TLS ]] || fail 2 "KAFKA_TLS=$KAFKA_TLS is not the whole path of a file that can be read"
    add_secure_listener "$port" "$controller_port" "$secure_port"
  fi
  format_log
  launch
  await_answer "$port"
  echo "$host:$port"
}

stop() {
  local pid until_s=$((SECONDS + 20))
  if pid=$(pid_of_broker); then
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do
      if ((SECONDS >= until_s)); then kill -9 "$pid" 2>/dev/null || true; fi
      sleep 0.1
    done
    say "stopped; its log stays in $dir"
  else
    say "not running"
  fi
  rm -f "$dir/broker.pid"
}

address() { # $1: "secure" for the second listener
  local port
  pid_of_broker >/dev/null || fail 1 "not running"
  if [[ ${1:-} == secure ]]; then port=$(secure_port_kept); else port=$(port_kept); fi
  [[ -n $port ]] || fail 1 "it has no secure listener: start it with KAFKA_TLS"
  echo "$host:$port"
}

status() {
  local pid
  pid=$(pid_of_broker) || { echo "Apache Kafka $version is not running"; exit 1; }
  echo "Apache Kafka $version at $host:$(port_kept), pid $pid, log in $dir"
}

case ${1:-} in
  start | fetch | stop | status | address) "$@" ;;
  *) fail 2 "say one of: start, fetch, stop, status, address" ;;
esac
