#!/usr/bin/env bash
# Programs that the tests drive: kcat, nft and Chromium from Debian's packages, Kafka's own tools from Maven Central.
set -euo pipefail
cd "$(dirname "$0")"
missing=()
command -v kcat >/dev/null || missing+=(kcat)
command -v nft >/dev/null || missing+=(nftables)
command -v chromium >/dev/null || missing+=(chromium)
command -v java >/dev/null || missing+=(default-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
if ((${#missing[@]})); then
  export DEBIAN_FRONTEND=noninteractive
  as_root=()
  ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
# The jars lie where tests/clients/kafka_tools.py looks for them.
jars=${TIMESPLIT_KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/timesplit/kafka-tools}
mkdir -p "$jars"
mvn -B -q -f clients/java/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars"
