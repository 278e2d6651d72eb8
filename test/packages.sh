#!/bin/bash
# Installs what the tests use and this machine lacks: Debian packages, and a kernel for test machines to boot.
# As root or by sudo without a password; without either it says which tests are left out, and goes on.
# With CI=true nothing may be left out. Takes a moment when all is there.
# test/packages.sh matrix installs what `make e2e` needs besides.
set -eu

# Each package, and whose tests run it. A test that misses its program skips itself (and fails with CI=true).
list='
asciinema           cmd/provisioner
atftp               boot
busybox-static      boot, server, test/e2e
conman              test/bench
cpio                test/e2e
curl                boot, cmd/provisioner, server
dnsmasq-base        test/e2e, test/bench
expect              cmd/provisioner
fish                cmd/provisioner
freeipmi-tools      test/bench
g++                 boot, test/e2e, test/bench
grub-common         boot, test/e2e
grub-efi-amd64-bin  test/e2e
iproute2            test/e2e
ipmitool            ipmi, test/bench
ipxe                test/e2e
ipxe-qemu           test/e2e
isc-dhcp-client     test/e2e
kea-admin           test/e2e, test/bench
kea-dev             boot, test/e2e, test/bench
kea-dhcp4-server    test/e2e, test/bench
libboost-dev        boot, test/e2e, test/bench
libpcre2-8-0        test/bench
libwrap0            test/bench
openipmi            ipmi, test/e2e, test/bench
openssh-client      cmd/provisioner, server, test/e2e
ovmf                test/e2e
pxelinux            test/e2e
python3             server
python3-websockets  server
qemu-system-x86     test/e2e
syslinux-common     test/e2e
tftp-hpa            boot
tmux                test/e2e
zsh                 cmd/provisioner
'
matrix=${1:-}
[[ $matrix != matrix ]] || list+='
grub-efi-amd64-signed      test/e2e
grub-pc-bin                test/e2e
qemu-efi-aarch64           test/e2e
qemu-system-arm            test/e2e
shim-helpers-amd64-signed  test/e2e
shim-signed                test/e2e
'
cache=${XDG_CACHE_HOME:-$HOME/.cache}/provisioner-test
kernel=$cache/kernel
tftpd=$cache/tftpd
installers=$cache/installers
arm64=$cache/arm64
debian_installer=$cache/debian-installer
exec </dev/null

# The lines of the list whose package is not installed.
missing() {
  local installed
  installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' | sed -n 's/^ii *//p')
  awk 'NR == FNR { have[$1] = 1; next } NF && !have[$1]' <(echo "$installed") <(echo "$list")
}

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi
}

install_missing() {
  local packages
  mapfile -t packages < <(missing | awk '{ print $1 }')
  [[ ${#packages[@]} -gt 0 ]] || return 0
  echo "installing ${packages[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
}

# The kernel is only unpacked, never installed: its vmlinuz and its network modules make the image that is booted.
fetch_kernel() {
  [[ ! -d $kernel ]] || return 0
  local name work
  name=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  echo "fetching $name"
  mkdir -p "${kernel%/*}"
  work=$(mktemp -d "$kernel.XXXXXX")
  (cd "$work" && apt-get -qq download -o APT::Sandbox::User=root "$name") &&
    dpkg -x "$work"/*.deb "$work/tree" && mv -T "$work/tree" "$kernel"
  rm -rf "$work"
  [[ -d $kernel ]]
}

# TFTP servers that ours is measured against. Debian has only one of them installed, and starts it: they are unpacked, too.
fetch_tftpd() {
  [[ ! -d $tftpd ]] || return 0
  local name work
  echo "fetching tftpd-hpa and atftpd"
  mkdir -p "${tftpd%/*}"
  work=$(mktemp -d "$tftpd.XXXXXX")
  mkdir "$work/tree"
  for name in tftpd-hpa atftpd; do
    (cd "$work" && apt-get -qq download -o APT::Sandbox::User=root "$name") &&
      dpkg -x "$work/$name"_*.deb "$work/tree/$name" &&
      dpkg-deb -W "$work/$name"_*.deb >>"$work/tree/versions"
  done
  [[ $(wc -l <"$work/tree/versions") != 2 ]] ||
    mv -T "$work/tree" "$tftpd"
  rm -rf "$work"
  [[ -d $tftpd ]]
}

# Who checks preseeds of cloud-init and Ignition. Installed, they would set up this machine; they are unpacked, with what they import.
fetch_installers() {
  [[ ! -d $installers ]] || return 0
  local name work
  echo "fetching cloud-init and ignition"
  mkdir -p "${installers%/*}"
  work=$(mktemp -d "$installers.XXXXXX")
  mkdir "$work/tree"
  for name in cloud-init ignition python3-{attr,certifi,chardet,charset-normalizer,configobj,idna,jinja2,json-pointer,jsonpatch,jsonschema} \
    python3-{markupsafe,netifaces,pyrsistent,requests,serial,six,urllib3,yaml}; do
    (cd "$work" && apt-get -qq download -o APT::Sandbox::User=root "$name") &&
      dpkg -x "$work/$name"_*.deb "$work/tree" && echo "$name" >>"$work/unpacked"
  done
  [[ $(wc -l <"$work/unpacked") != 20 ]] ||
    mv -T "$work/tree" "$installers"
  rm -rf "$work"
  [[ -d $installers ]]
}

# What a machine of another architecture boots. apt keeps its lists of arm64 apart, so that this machine does not learn of them.
fetch_arm64() {
  [[ ! -d $arm64 ]] || return 0
  local apt kernel_package work
  echo "fetching packages of arm64"
  mkdir -p "$cache"
  work=$(mktemp -d "$arm64.XXXXXX")
  mkdir -p "$work"/{tree,state/lists/partial,cache/archives/partial}
  : >"$work/status"
  apt=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::State="$work/state" -o Dir::State::status="$work/status"
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -qq)
  apt-get "${apt[@]}" update || true # of the sites that have no arm64
  kernel_package=$(apt-cache "${apt[@]}" depends linux-image-cloud-arm64 | awk '/Depends: linux-image-/ { print $2; exit }')
  (cd "$work" && apt-get "${apt[@]}" download "$kernel_package" busybox-static grub-efi-arm64-bin) &&
    for package in "$work"/*.deb; do dpkg -x "$package" "$work/tree"; done &&
    mv "$work"/grub-efi-arm64-bin_*.deb "$work/tree/grub-efi-arm64-bin.deb" && mv -T "$work/tree" "$arm64"
  rm -rf "$work"
  [[ -d $arm64 ]]
}

# Debian's installer for the network: a kernel and an initrd.
fetch_debian_installer() {
  [[ ! -d $debian_installer ]] || return 0
  local name release work
  release=$(sed -n 's/^VERSION_ID="\(.*\)"/\1/p' /etc/os-release)
  name=debian-installer-$release-netboot-amd64
  echo "fetching $name"
  mkdir -p "$cache"
  work=$(mktemp -d "$debian_installer.XXXXXX")
  (cd "$work" && apt-get -qq download -o APT::Sandbox::User=root "$name") && dpkg -x "$work/$name"_*.deb "$work/tree" &&
    mkdir "$work/files" && mv "$work/tree/usr/lib/debian-installer/images/$release/amd64/text/debian-installer/amd64"/{linux,initrd.gz} "$work/files" &&
    mv -T "$work/files" "$debian_installer"
  rm -rf "$work"
  [[ -d $debian_installer ]]
}

# Whether a network namespace with a tap device can be had, where test machines are plugged in.
namespace() {
  local user=()
  [[ $(id -u) == 0 ]] || user=(--user --map-root-user)
  PATH=$PATH:/sbin unshare --net "${user[@]}" ip tuntap add probe mode tap 2>/dev/null
}

fetched() { [[ -d $kernel && -d $tftpd && -d $installers && ($matrix != matrix || -d $arm64 && -d $debian_installer) ]]; }

[[ -z $(missing) ]] && fetched || as_root apt-get -qq update || true
install_missing || true
fetch_kernel || true
fetch_tftpd || true
fetch_installers || true
if [[ $matrix == matrix ]]; then
  fetch_arm64 || true
  fetch_debian_installer || true
fi

left_out=$(
  missing
  [[ -d $kernel ]] || echo "linux-image-cloud-amd64, unpacked in $kernel  test/e2e"
  [[ -d $tftpd ]] || echo "tftpd-hpa and atftpd, unpacked in $tftpd  test/bench"
  [[ -d $installers ]] || echo "cloud-init and ignition, unpacked in $installers  server"
  [[ $matrix != matrix || -d $arm64 ]] || echo "a kernel, busybox and GRUB of arm64, unpacked in $arm64  test/e2e"
  [[ $matrix != matrix || -d $debian_installer ]] || echo "Debian's installer for the network, unpacked in $debian_installer  test/e2e"
  namespace || echo "network namespaces with /dev/net/tun (root, or user namespaces)  test/e2e"
)
if [[ -n $left_out ]]; then
  printf 'Missing, and the tests that are left out for it:\n%s\n' "$left_out" >&2
  [[ ${CI:-} != true ]]
fi
