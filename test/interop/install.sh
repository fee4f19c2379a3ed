#!/usr/bin/env bash
# Installs the clients that test/interop drives: Debian packages, and the npm modules of test/interop/web. Says
# what could not be had and goes on: the tests skip that, or fail where INTEROP_REQUIRED=1.
set -uo pipefail
cd "$(dirname "$0")"

have() {
	case $1 in
	python3-slixmpp) /usr/bin/python3 -c 'import slixmpp.clientxmpp' ;;
	nodejs) command -v node ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

missing() {
	local p
	for p in python3-slixmpp go-sendxmpp profanity mcabber tmux chromium nodejs npm; do
		have "$p" || echo "$p"
	done
}

# Packages one at a time: one that can't be had must not keep the others away.
packages=$(missing)
if [ -n "$packages" ]; then
	if ! command -v apt-get >/dev/null; then
		echo 'clients: this is no Debian system; install these by hand:' $packages
	elif [ "$(id -u)" != 0 ]; then
		echo 'clients: not root; run this: apt-get install --no-install-recommends' $packages
	else
		log=$(mktemp)
		timeout 120 apt-get update >"$log" 2>&1 || { echo 'clients: apt-get update:'; tail -n 3 "$log"; }
		for p in $packages; do
			DEBIAN_FRONTEND=noninteractive timeout 180 apt-get install -y --no-install-recommends -o Acquire::Retries=3 "$p" >"$log" 2>&1 </dev/null ||
				{ echo "clients: $p could not be installed:"; tail -n 3 "$log"; }
		done
		rm -f "$log"
	fi
fi

if [ -f web/package-lock.json ] && have npm; then
	log=$(mktemp)
	(cd web && timeout 180 npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1 </dev/null) ||
		{ echo 'clients: npm ci in test/interop/web:'; tail -n 5 "$log"; }
	rm -f "$log"
fi

packages=$(missing)
if [ -n "$packages" ]; then
	echo 'clients: still missing:' $packages
else
	echo 'clients: all there'
fi
