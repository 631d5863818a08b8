#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# sealgate init, key and audit, with the vault running and without.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
[ -x "$sealgate" ] && [ -x "$vault" ] || skip "sealgate and sealgate-vault are not built"
d=$work/gate
conf=$d/sealgate.conf
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}

# --- init
out=$("$sealgate" init --dir "$d" --domain Example.ORG --organisation 'Ex "A" \ Co' --json) || fail "init"
match "init's answer" "$out" '"v":1,.*"domain":"example.org"'
match "anchor of init" "$out" '"anchor":"sealgate-anchor:1 '
printf '%s\n' "$out" | sed 's/.*"anchor":"\([^"]*\)".*/\1/' >"$work/anchor.first"
for f in sealgate.conf ca.pem run spool ledger/000001.jsonl crls; do
	[ -e "$d/$f" ] || fail "init made no $f"
done
want "mode of the master key" "$(find "$d" -name master.key -perm 0400 | wc -l)" 1
want "init into a folder that is not empty" "$(status "$sealgate" init --dir "$d" --domain example.org)" 65
want "init with a bad domain" "$(status "$sealgate" init --dir "$work/x" --domain 'a b')" 64
want "init without a domain" "$(status "$sealgate" init --dir "$work/x")" 64
[ ! -e "$work/x" ] || fail "a refused init left something"
want "check" "$(status tool check)" 0
match "name with quotes" "$(tool check)" 'name = "Ex \\"A\\" \\\\ Co"'
match "check as JSON" "$(tool check --json)" '^{"v":1,"organisation":\{.*"name":"Ex \\"A\\" '
want "check warns of nothing" "$(tool check 2>&1 >/dev/null)" ""
sed 's|crl_dir = "crls"|crl_dir = "clrs"|; /^vault = {/,/^}/s|user = "[^"]*";|user = "nobody-here";|' "$d/sealgate.conf" >"$d/slips.conf"
slips=$("$sealgate" -c "$d/slips.conf" check 2>&1 >/dev/null) || fail "check of a file with slips"
match "a folder that is not there" "$slips" 'warning: trust.crl_dir: .*/clrs: No such file'
match "a user who is not there" "$slips" 'warning: vault.user: there is no user nobody-here here'
rm "$d/slips.conf"
match "no directories" "$("$sealgate" -c "$d/sealgate.conf" check --directories 2>&1)" 'the configuration has no directories'
openssl verify -CAfile "$d/ca.pem" "$d/ca.pem" >/dev/null || fail "the CA's certificate"

# --- keys without a vault
tool key new alice@example.org --name 'Alice A' --type p256 >"$work/alice" || fail "key new"
match "key new" "$(cat "$work/alice")" '^k[0-9a-f]+ +active +both +ec-p256 .*alice@example.org$'
alice=$(cut -d' ' -f1 "$work/alice")
want "key new twice" "$(status tool key new alice@example.org)" 65
want "key new for no address" "$(status tool key new alice)" 64
tool key export --cert alice@example.org >"$work/alice.pem" || fail "key export"
openssl verify -CAfile "$d/ca.pem" -untrusted "$work/alice.pem" "$work/alice.pem" >/dev/null || fail "alice's certificate"
match "address in the certificate" "$(openssl x509 -in "$work/alice.pem" -noout -ext subjectAltName)" \
	'email:alice@example.org'
! grep -q PRIVATE "$work/alice.pem" || fail "a private key in key export --cert"
want "key export without --cert" "$(status tool key export alice@example.org)" 65
want "keys of nobody" "$(status tool key list nobody@example.org)" 65
want "show an unknown key" "$(status tool key show nobody@example.org)" 65

# --- and with one
start vault "$vault" -c "$conf" -f
wait_for 10 "$sealgate" -c "$conf" key list || fail "the vault does not answer"
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/bob.key" -out "$work/bob.crt" -days 30 \
	-subj /CN=Bob -addext subjectAltName=email:bob@example.org \
	-addext keyUsage=digitalSignature,keyEncipherment 2>/dev/null
openssl pkcs12 -export -inkey "$work/bob.key" -in "$work/bob.crt" -passout pass:geheim -out "$work/bob.p12"
echo geheim >"$work/password"
echo wrong >"$work/wrong"
want "import with a wrong password" "$(status tool key import --password "$work/wrong" "$work/bob.p12")" 65
want "import without one" "$(status tool key import "$work/bob.p12" </dev/null)" 65
want "nothing half done" "$(status tool key list bob@example.org)" 65
out=$(tool key import --password "$work/password" "$work/bob.p12") || fail "key import"
match "key import" "$out" '^k[0-9a-f]+ +active +both +rsa .*bob@example.org$'
match "again" "$(tool key import --password "$work/password" "$work/bob.p12")" 'known already'
want "import of no file" "$(status tool key import "$work/none.p12")" 66
match "list" "$(tool key list --json)" '^\{"v":1,"keys":\[.*"addresses":\["bob@example.org"\]'
want "list has four" "$(tool key list | wc -l)" 4
tool key grant --to alice@example.org --until 2099-01-01 bob@example.org >/dev/null || fail "grant"
match "grant in show" "$(tool key show bob@example.org)" 'grant .*to alice@example.org  until 2099-01-01'
tool key renew alice@example.org >"$work/renewed" || fail "renew"
match "the old key retires" "$(tool key show "$alice")" 'status +retired'
tool key revoke bob@example.org >/dev/null || fail "revoke"
match "revoked" "$(tool key list bob@example.org)" 'revoked'

# --- audit
tool audit anchor >"$work/anchor" || fail "anchor"
match "anchor" "$(cat "$work/anchor")" '^sealgate-anchor:1 [^ ]+ [0-9]+ [0-9a-f]{64} [^ ]+Z [0-9a-f]{64} [0-9a-f]+$'
out=$(tool audit verify --anchor "$work/anchor.first" --anchor "$work/anchor") || fail "verify"
match "verify" "$out" 'The ledger is whole'
out=$(tool audit verify --json --anchor "$work/anchor")
match "verify as JSON" "$out" '"v":1,"ok":true,'
root=$(printf '%s' "$out" | sed 's/.*"root":"\([0-9a-f]*\)".*/\1/')
want "the root" "$(status tool audit verify --root "$root")" 0
want "another root" "$(status tool audit verify --root "${root}0")" 65
tool audit search --key "$alice" >"$work/found" || fail "search by key"
match "search by key" "$(cat "$work/found")" 'admin event=key.new .*key='"$alice"
! grep -v "$alice" "$work/found" || fail "search found another key"
tool audit search --address bob@example.org | grep -q 'event=key.import' || fail "search by address"
! grep -q 'bob@example' "$d"/ledger/*.jsonl || fail "an address in the ledger"
want "search for nothing" "$(status tool audit search --key k0000000000000000)" 65
want "search before" "$(status tool audit search --until 2001-01-01)" 65
want "no such type" "$(status tool audit search --type nonsense)" 64
want "show one" "$(tool audit show 1 | cut -d' ' -f1,3)" "1 open"
want "show none" "$(status tool audit show 99999)" 65
tool audit export --type admin | grep -q '^{"v":1,"seq":' || fail "export"
match "report" "$(tool audit report --json)" '"v":1,"uses":[0-9]+,"done":[0-9]+,"failed":0,"denied":0'

# --- the files alone are enough, and doctoring them shows
kill "$pid"
wait "$pid" 2>/dev/null
cp -r "$d/ledger" "$work/copy"
want "files alone" "$(status "$sealgate" audit verify --dir "$work/copy" --anchor "$work/anchor")" 0
cp "$d/ledger/000001.jsonl" "$work/whole"
sed 's/"event":"key.revoke"/"event":"key.retire"/' "$work/whole" >"$work/copy/000001.jsonl"
out=$("$sealgate" audit verify --dir "$work/copy")
want "a changed record" $? 65
match "a changed record" "$out" 'DOES NOT VERIFY: segment 000001 line [0-9]+'
grep -v key.revoke "$work/whole" >"$work/copy/000001.jsonl"
want "a removed record" "$(status "$sealgate" audit verify --dir "$work/copy")" 65
head -n 4 "$work/whole" >"$work/copy/000001.jsonl"
want "cut at a checkpoint, no anchor" "$(status "$sealgate" audit verify --dir "$work/copy")" 0
want "cut at a checkpoint" \
	"$(status "$sealgate" audit verify --dir "$work/copy" --anchor "$work/anchor")" 65
"$sealgate" init --dir "$work/other" --domain example.org >/dev/null || fail "a second init"
want "a second history" \
	"$(status "$sealgate" -c "$work/other/sealgate.conf" audit verify --anchor "$work/anchor")" 65
want "no ledger" "$(status "$sealgate" audit verify --dir "$work")" 65
want "no folder" "$(status "$sealgate" audit verify --dir "$work/nowhere")" 66

# --- a vault that was killed leaves a ledger that goes on
start vault "$vault" -c "$conf" -f
wait_for 10 "$sealgate" -c "$conf" key list || fail "the vault does not come back"
tool key new carol@example.org --type p256 >/dev/null || fail "key new, again"
kill -9 "$pid"
wait "$pid" 2>/dev/null
printf '{"v":1,"seq":' >>"$d/ledger/000001.jsonl"
match "torn" "$(tool audit verify)" 'torn end'
tool key new dave@example.org --type p256 >/dev/null || fail "key new after a crash"
out=$(tool audit verify --anchor "$work/anchor") || fail "verify after a crash"
match "recovered" "$out" 'recovered +1 torn ends'

# --- an ordinary user's own gateway
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	mkdir -m 777 "$work/user"
	as="setpriv --reuid=65534 --regid=65534 --clear-groups"
	if $as "$sealgate" init --dir "$work/user/gate" --domain example.org >"$work/user.log" 2>&1; then
		match "user" "$(cat "$work/user/gate/sealgate.conf")" 'user = "nobody"'
		$as "$sealgate" -c "$work/user/gate/sealgate.conf" key new eve@example.org --type p256 \
			>>"$work/user.log" 2>&1 || fail "an ordinary user's key"
		start uservault $as "$vault" -c "$work/user/gate/sealgate.conf" -f
		wait_for 10 grep -q vault-ready "$work/uservault.log" || fail "an ordinary user's vault"
		kill "$pid"
		wait "$pid" 2>/dev/null
	else
		fail "init as an ordinary user"
	fi
fi
finish
