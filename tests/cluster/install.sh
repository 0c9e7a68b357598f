#!/bin/sh
# Install the Debian packages that the real node and the image need; does nothing when they are all there.
set -eu

PACKAGES="containerd runc containernetworking-plugins iptables iproute2 procps util-linux openssl ca-certificates
    busybox-static etcd-server prometheus buildah mmdebstrap git libfaketime"

fail() { echo "tests/cluster/install.sh: $1" >&2; exit 1; }

[ -r /etc/debian_version ] || fail "this is not Debian; install yourself: $(echo $PACKAGES)"
missing=""
for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
[ "$(id -u)" = 0 ] || fail "not root, cannot install:$missing"

# Packages start their services on installation unless policy-rc.d forbids it (exit code 101): etcd,
# Prometheus and containerd must run only where a test has started them.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of words is meant
apt-get install -y -qq --no-install-recommends $missing
