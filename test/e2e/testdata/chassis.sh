#!/bin/bash
# The chassis behind ipmi_sim, which calls: chassis.sh DIR get power boot | set power 0|1 reset 1 boot pxe|default...
# The machine's command line is DIR/argv, a word a line.
dir=$1
pid=$dir/machine.pid

running() { [[ -f $pid ]] && kill -0 "$(<"$pid")" 2>/dev/null; }

start() {
  mapfile -t argv <"$dir/argv"
  setsid "${argv[@]}" >>"$dir/machine.log" 2>&1 </dev/null &
  echo $! >"$pid"
}

stop() {
  running || return
  kill -KILL "$(<"$pid")"
  while running; do sleep 0.05; done
}

# A machine falls silent before it starts anew: ipmi_sim looks for its serial port again by the timer that an acknowledgement
# of what it printed last would stop.
reset() {
  running || return
  kill -STOP "$(<"$pid")"
  (
    sleep 1
    stop
    start
  ) >/dev/null 2>&1 </dev/null &
}

get() {
  case $1 in
  power) running && echo power:1 || echo power:0 ;;
  boot) echo "boot:$(cat "$dir/boot" 2>/dev/null || echo default)" ;;
  esac
}

put() {
  case $1=$2 in
  power=1) running || start ;;
  power=0) stop ;;
  reset=1) reset ;;
  boot=*) echo "$2" >"$dir/boot" ;;
  esac
}

case $2 in
get) for key in "${@:3}"; do get "$key"; done ;;
set) for ((i = 3; i < $#; i += 2)); do put "${@:i:2}"; done ;;
esac
exit 0
