#!/usr/bin/env bash
# The steps of the Dockerfile in a clean Debian; then a command there as another user, without a network, by default the demo.
#
#   apt-get install debootstrap iproute2
#   BIND="/etc/pip.conf" bash tests/image.sh [command]
#
# As root, where there is no Docker. BIND names files and folders of this machine that the set-up needs there, such as a
# mirror of packages.
set -euo pipefail
cd "$(dirname "$0")/.."
debian=$(mktemp --directory) && chmod a+rx "$debian"
clear() {  # only what is not mounted from elsewhere may be deleted
    for path in /proc /dev ${BIND:-}; do umount --recursive --lazy "$debian$path" || return; done
    rm -rf --one-file-system "$debian"
}
trap clear EXIT
debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$(sed -n 's/^FROM .*-//p' Dockerfile)" "$debian"
for path in /proc /dev ${BIND:-}; do
    if [ -d "$path" ]; then mkdir -p "$debian$path"; else mkdir -p "$(dirname "$debian$path")" && touch "$debian$path"; fi
    mount --rbind --make-rslave "$path" "$debian$path"
done
mkdir -p "$debian/opt/anysleep"
git archive HEAD | tar --extract --directory "$debian/opt/anysleep"
sed -n 's/^RUN //p' Dockerfile | while read -r step; do
    echo "RUN $step"
    chroot "$debian" bash -euc "cd /opt/anysleep; $step" < /dev/null
done
export HOME=/tmp LOGNAME=anysleep PATH=/opt/anysleep/.venv/bin:/usr/bin:/bin COMMAND="${*:-make demo}"
unshare --net bash -c "/sbin/ip link set lo up; exec /sbin/chroot --userspec=1000:1000 $debian bash -euc 'cd /opt/anysleep; \$COMMAND'"
