# SPDX-License-Identifier: BSD-2-Clause
# Sourced after lib.sh: a private world as "sealgate init" makes it, with staff and a partner.
# The daemons run as whoever runs the test, whether or not the machine has users for them (which other tests
# may make and remove meanwhile); the quickstart tries them with users of their own.

org=example.org partner=partner.example
dir=$work/gate
conf=$dir/sealgate.conf
sock=unix:$dir/run/milter.sock

[ -x "$builddir/sealgate" ] && [ -x "$builddir/sealgate-vault" ] && [ -x "$builddir/sealgate-milter" ] ||
	skip "not built"
command -v openssl >/dev/null || skip "openssl is not installed"

gate() {
	"$builddir/sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}

vault_up() {
	start vault "$builddir/sealgate-vault" -c "$conf" -f
	vault=$pid
	wait_for 10 test -S "$dir/run/admin.sock" || fail "the vault did not start"
	wait_for 10 gate key list || fail "the vault does not answer"
}

milter_up() {
	start milter "$builddir/sealgate-milter" -c "$conf" -f
	milter=$pid
	wait_for 10 drive --probe -S "$sock" || fail "the milter did not start"
}

# made_gate [NAME…]: what "sealgate init" makes, in $dir, with keys for these
made_gate() {
	made gate "$dir" "$org" "$@" || {
		fail "made-gate"
		finish
	}
}

# made_key FILE: an RSA key, another one each time
made_key() {
	made_keys=$((${made_keys:-0} + 1))
	made key $made_keys "$1"
}

# partner_cert NAME ADDRESS KEYTYPE…: NAME.key and NAME.pem, under a CA of the partner's
partner_cert() {
	local name=$1 address=$2
	shift 2
	[ -f "$work/ca.pem" ] || { made_key "$work/ca.key" && openssl req -x509 -key "$work/ca.key" -sha256 -days 30 \
		-out "$work/ca.pem" -subj "/O=Partner/CN=Partner CA" -addext "keyUsage=critical,keyCertSign,cRLSign" \
		2>/dev/null; }
	if [ "$*" = rsa:2048 ]; then
		made_key "$work/$name.key"
		openssl req -new -key "$work/$name.key" -out "$work/$name.csr" -subj "/CN=$name" 2>/dev/null
	else
		openssl req -newkey "$@" -nodes -keyout "$work/$name.key" -out "$work/$name.csr" -subj "/CN=$name" 2>/dev/null
	fi
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,%s\nextendedKeyUsage=emailProtection\nsubjectAltName=email:%s\n' \
		"${usage:-digitalSignature,keyEncipherment}" "$address" >"$work/$name.ext"
	openssl x509 -req -in "$work/$name.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" -CAcreateserial -days 20 \
		-sha256 -extfile "$work/$name.ext" -out "$work/$name.pem" 2>/dev/null
}

# partners NAME…: NAME@$partner with RSA keys as NAME.key and NAME.pem, whom the gateway knows, and their CA as an anchor
partners() {
	local name
	for name; do
		partner_cert "$name" "$name@$partner" rsa:2048
	done
	gate cert add --anchor "$work/ca.pem" >/dev/null || fail "cert add --anchor"
	for name; do
		gate cert add "$work/$name.pem" >/dev/null || fail "cert add $name"
	done
}

# world: configuration, vault with alice and bob, carol's certificate, the milter
world() {
	made_gate alice bob
	vault_up
	partners carol
	milter_up
}

# staff_cert NAME: alice's or bob's certificate (with chain) in NAME.cert
staff_cert() {
	gate key export --cert "$1@$org" >"$work/$1.cert" || fail "key export --cert $1"
}
