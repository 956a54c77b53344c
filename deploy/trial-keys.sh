#!/bin/sh
# Keys and certificates of a trial network, all made on one machine: for trying out, never for a network that anybody
# relies on. In the directory KEYS there is afterwards one directory for the authority, one for the hub, and one for
# each country: its bureau's, and below it officer/ with those of an officer's seat and a context that leads to the
# desk (I247_HOME). What is there is left as it is.
#
#   trial-keys.sh KEYS COUNTRY=DESK:PORT ...
set -eu
umask 077
keys=$1
shift
authority=$keys/authority/root
if [ ! -e "$authority/ca.key.pem" ]; then
  i247 authority init "$authority"
  i247 authority request "$keys/hub" gs/hub/lyon
  i247 authority issue "$keys/hub/request.pem" --names hub --authority "$authority"
fi
for at in "$@"; do
  country=$(echo "${at%%=*}" | tr '[:upper:]' '[:lower:]')
  desk=${at#*=}
  own=$keys/$country
  [ ! -e "$own/tls.crt.pem" ] || continue
  i247 authority request "$own" "ncb/$country"
  i247 authority issue "$own/request.pem" --names "$country" --authority "$authority"
  i247 authority national "$country" "$keys/authority/$country" --authority "$authority"
  i247 authority request "$own/officer" "ncb/$country/officer/duty"
  i247 authority issue "$own/officer/request.pem" --authority "$keys/authority/$country"
  I247_HOME=$own/officer i247 context add "$country" --address "$desk" --server "ncb/$country" --credentials "$own/officer"
done
