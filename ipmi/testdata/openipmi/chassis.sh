#!/bin/sh
# Called by ipmi_sim as: chassis.sh MC get power|boot ... | set power 0|1 ...,
# reset 1, boot pxe|default|... It keeps the power state and writes down what
# was set.
dir=$(dirname "$0")
shift
op=$1
shift
case $op in
get)
  for key in "$@"; do
    case $key in
    power) echo "power:$(cat "$dir/power" 2>/dev/null || echo 0)" ;;
    boot) echo "boot:$(cat "$dir/boot" 2>/dev/null || echo default)" ;;
    esac
  done
  ;;
set)
  while [ $# -gt 1 ]; do
    case $1 in
    power | boot) echo "$2" >"$dir/$1" ;;
    esac
    echo "$1 $2" >>"$dir/log"
    shift 2
  done
  ;;
esac
