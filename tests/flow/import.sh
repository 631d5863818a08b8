#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Keys from files, folders, archives and tables; two-part import; what is refused; nothing half done.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"

sealgate=$builddir/sealgate
vault=$builddir/sealgate-vault
d=$work/gate
conf=$d/sealgate.conf
cd "$work" || exit 1
tool() {
	"$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
}
# said TEXT COMMAND…: what the command says on standard error has TEXT in it
said() {
	local text=$1
	shift
	tool_said=$("$sealgate" -c "$conf" "$@" 2>&1 >/dev/null)
	printf '%s\n' "$tool_said" | grep -qF -- "$text" || fail "$*: said \"$tool_said\", want \"$text\""
}
status() {
	"$@" >/dev/null 2>>"$work/tool.log"
	echo $?
}
keys() {
	tool key list | grep -vc ' ca '
}

# --- people: a root, an issuing CA, certificates of several kinds
openssl ecparam -name prime256v1 -out p256
ca() { # NAME [ISSUER]
	openssl req -new -newkey ec:p256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
	printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' >"$1.ext"
	if [ $# = 1 ]; then
		openssl x509 -req -in "$1.csr" -signkey "$1.key" -extfile "$1.ext" -days 3000 -out "$1.pem" 2>/dev/null
	else
		openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -extfile "$1.ext" -days 2000 \
			-out "$1.pem" 2>/dev/null
	fi
}
# person NAME ADDR [more lines of extensions] [more options of x509]
person() {
	[ -f "$1.key" ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
	openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr" 2>/dev/null
	printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\n%b' "${2:+email:$2}" "${3-}" >"$1.ext"
	[ -n "$2" ] || printf 'basicConstraints=CA:FALSE\n%b' "${3-}" >"$1.ext"
	if [ "${4-}" = expired ]; then
		: >index.txt
		openssl ca -batch -config ca.cnf -in "$1.csr" -extfile "$1.ext" -startdate 20200101000000Z \
			-enddate 20210101000000Z -out "$1.pem" -notext 2>/dev/null || fail "certificate of $1"
		return
	fi
	# shellcheck disable=SC2086
	openssl x509 -req -in "$1.csr" -CA issuing.pem -CAkey issuing.key -CAcreateserial -extfile "$1.ext" \
		${4:--days 300} -out "$1.pem" 2>/dev/null || fail "certificate of $1"
}
p12() { # NAME PASSWORD [options]
	local name=$1 password=$2
	shift 2
	openssl pkcs12 -export -inkey "$name.key" -in "$name.pem" -passout "pass:$password" "$@" -out "$name.p12" ||
		fail "PKCS#12 of $name"
}
ca root && ca issuing root
cat >ca.cnf <<'C'
[ca]
default_ca = c
[c]
database = index.txt
new_certs_dir = .
certificate = issuing.pem
private_key = issuing.key
rand_serial = yes
default_md = sha256
policy = p
[p]
commonName = supplied
C
person alice alice@example.org
person bob bob@example.org
person carol carol@elsewhere.net
person login login@example.org 'extendedKeyUsage=clientAuth\n'
person old old@example.org '' expired
openssl genrsa -out short.key 1024 2>/dev/null
person short short@example.org
person sha1 sha1@example.org '' '-days 300 -sha1'
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1 -out curve.key 2>/dev/null
person curve curve@example.org
person server server@example.org 'extendedKeyUsage=serverAuth\n'
person signer signer@example.org 'keyUsage=digitalSignature\n' expired
person nobody ''
person both "alice@example.org,email:bob@example.org"
for name in alice bob carol login old short sha1 curve server signer nobody both; do
	p12 $name geheim -iter 2048
done
printf 'geheim\r\n' >password
printf 'wrong\n' >wrong
made gate "$d" example.org || fail init
mkdir "$d/intermediates"
openssl x509 -in issuing.pem -outform DER -out "$d/intermediates/issuing.cer"
echo "no certificate" >"$d/intermediates/README"
sed -i 's|^vault = {|vault = {\n\tintermediates = "intermediates";|' "$conf"
tool check | grep -q 'intermediates = ' || fail "vault.intermediates"
start vault "$vault" -c "$conf" -f
vault_pid=$pid
wait_for 10 grep -q vault-ready "$work/vault.log" || fail "no vault-ready"
grep -q 'intermediate-unusable.*README' "$work/vault.log" || fail "a useless intermediate is not named"
none=$(keys)

# --- a key that can be used, and others of kinds that can't: X25519 with a certificate, and a curve that is not even read
openssl genpkey -algorithm X25519 -out agree.key 2>/dev/null && openssl pkey -in agree.key -pubout -out agree.pub
openssl x509 -req -in bob.csr -force_pubkey agree.pub -CA issuing.pem -CAkey issuing.key -CAcreateserial -extfile bob.ext -days 300 \
	-out agree.pem 2>/dev/null || fail "certificate for X25519"
person dora dora@example.org
cat agree.key agree.pem >agree.file
said "the type of its key (x25519) is not supported" key import agree.file
cat agree.key agree.pem curve.key curve.pem dora.key dora.pem >several
want "one of three: status" "$(status tool key import several)" 65
want "one of three is taken" "$(keys)" "$((none + 1))"
said "left out: the certificate of CN=bob cannot be used for mail: the type of its key (x25519) is not supported" key import several
said "left out: a private key on the curve brainpoolP256r1" key import several
# The same in one PKCS#12 file, the one that can be used first, in the middle and last.
cat curve.key curve.pem >curve.file
n=0
for order in "one agree.file curve.file" "agree.file one curve.file" "agree.file curve.file one"; do
	n=$((n + 1))
	person "b$n" "b$n@example.org"
	cat "b$n.key" "b$n.pem" >one
	# shellcheck disable=SC2086
	"$builddir/keymaker" bundle bundle.p12 geheim $order || fail "keymaker bundle"
	before=$(keys)
	want "PKCS#12, $order: status" "$(status tool key import --password password bundle.p12)" 65
	want "PKCS#12, $order: one is taken" "$(keys)" "$((before + 1))"
	match "PKCS#12, $order: the usable one" "$(tool key list)" "b$n@example.org"
	said "left out: the certificate of CN=bob cannot be used for mail: the type of its key (x25519) is not supported" \
		key import --password password bundle.p12
	said "left out: a private key on the curve brainpoolP256r1" key import --password password bundle.p12
done
"$builddir/keymaker" bundle bundle.p12 geheim agree.file curve.file || fail "keymaker bundle"
before=$(keys)
want "PKCS#12, none that can be used: status" "$(status tool key import --password password bundle.p12)" 65
want "PKCS#12, none that can be used: none is taken" "$(keys)" "$before"
mkdir several.dir && cp several several.dir/several.pem
want "in a folder: status" "$(status tool key import several.dir)" 65
match "in a folder" "$(tool key import --json several.dir)" '"outcome":"failed".*x25519'
none=$(keys)

# --- refused, by an exact message, and nothing is kept
want "wrong password" "$(status tool key import --password wrong alice.p12)" 65
said "the password is wrong, or the file is damaged" key import --password wrong alice.p12
said "it needs a password" key import alice.p12
head -c 700 alice.p12 >cut.p12
said "the PKCS#12 file is damaged or cut short" key import --password password cut.p12
said "is not in organisation.domains; --foreign takes" key import --password password carol.p12
said "its certificate is for alice@example.org, not for dave@example.org" \
	key import --password password --address dave@example.org alice.p12
said "a private key on the curve brainpoolP256r1: only P-256, P-384 and P-521 are supported" \
	key import --password password curve.p12
said "cannot be used for mail: it is not for mail" key import --password password server.p12
said "names no mail address: say whose it is" key import --password password nobody.p12
cat issuing.key issuing.pem >issuer.pem
said "the key of a CA (CN=issuing) is not taken for a person's" key import issuer.pem
cat alice.key bob.pem >mixed.pem
said "the private key does not belong to the certificate of CN=bob" key import mixed.pem
said "a private key without its certificate" key import alice.key
said "there is no private key in it, only certificates" key import alice.pem
want "for login only" "$(status tool key import --password password login.p12)" 65
said "skipped: for client authentication only, never for mail" key import --password password login.p12
said "skipped: expired, and it was to sign only" key import --password password signer.p12
want "no file" "$(status tool key import none.p12)" 66
want "no password file" "$(status tool key import --password none alice.p12)" 66
want "two kinds of passwords" "$(status tool key import --password wrong --passwords wrong alice.p12)" 64
want "nothing was kept" "$(keys)" "$none"
if [ -n "$(find wrong -perm -044)" ]; then
	want "a list that others can read" "$(status tool key import --passwords wrong alice.p12)" 64
	said "mode 0644 lets others read the PINs: chmod 600 it first" key import --passwords wrong alice.p12
fi

# --- taken, to open only
said "expired on 2021-01-01: it only opens" key import --password password old.p12
match "expired" "$(tool key list old@example.org)" ' retired +open '
match "RSA-1024" "$(tool key import --password password short.p12)" ' retired +open +rsa '
match "SHA-1" "$(tool key import --password password sha1.p12)" ' retired +open '
match "somebody else's" "$(tool key import --foreign --password password carol.p12)" ' active +open .*carol@elsewhere.net'
match "no address" "$(tool key import --address nobody@example.org --password password nobody.p12)" ' both .*nobody@example.org'

# --- the chain is completed, and goes out with the certificate
tool key import --password password alice.p12 >/dev/null || fail "alice"
tool key export --cert alice@example.org >chain.pem || fail "export"
want "certificates" "$(grep -c BEGIN chain.pem)" 2
openssl verify -CAfile root.pem -untrusted chain.pem alice.pem >/dev/null || fail "alice's chain"
want "known" "$(tool key import --password password --json alice.p12 | field outcome)" known
before=$(wc -l <"$d/ledger/000001.jsonl")
tool key import --password password alice.p12 >/dev/null
want "nothing new, no record" "$(wc -l <"$d/ledger/000001.jsonl")" "$before"
tool key import --password password bob.p12 >/dev/null || fail "bob"
said "addresses of several persons, alice@example.org and bob@example.org" key import --password password both.p12
# The same key with a new certificate.
cp alice.key renewed.key
person renewed alice@example.org
p12 renewed geheim
said "the key is known, its certificate is new" key import --password password renewed.p12
want "two certificates" "$(tool key show --json alice@example.org | grep -o '"sha256"' | wc -l)" 3

# --- two files, PEM and DER, with and without passphrase
for kind in pkcs8 traditional der derenc sec1; do
	person $kind $kind@example.org
	case $kind in
	pkcs8) openssl pkcs8 -topk8 -in $kind.key -passout pass:geheim -out $kind.k ;;
	traditional) openssl ec -in $kind.key -aes128 -passout pass:geheim -out $kind.k 2>/dev/null ;;
	der) openssl pkcs8 -topk8 -nocrypt -in $kind.key -outform DER -out $kind.k ;;
	derenc) openssl pkcs8 -topk8 -in $kind.key -passout pass:geheim -outform DER -out $kind.k ;;
	sec1) openssl ec -in $kind.key -outform DER -out $kind.k 2>/dev/null ;;
	esac
	openssl x509 -in $kind.pem -outform DER -out $kind.cer
	match "$kind" "$(tool key import --password password $kind.k $kind.cer)" "imported +$kind.k +$kind@example.org"
done

# --- a folder, an archive, a list of passwords; names mean nothing
mkdir folder folder/below
for i in 1 2 3 4 5 6 7 8 9; do
	person user$i user$i@example.org
	p12 user$i "pass$i"
	cp user$i.p12 "folder/XX-$((i * 37 % 11)).p12"
done
mv folder/XX-4.p12 folder/below/YY.pfx
mv user9.p12 "$(printf 'folder/\203\145\203\130\203\147.p12')" # a name in Shift_JIS
rm folder/XX-3.p12
cp alice.p12 folder/alice.p12
cp login.p12 folder/login.p12
echo "read me" >folder/README.txt
cp issuing.pem folder/chain.pem
: >folder/empty.p12
(umask 077 && printf 'pass%d\n' 1 2 3 4 5 6 7 8 9 >list && echo geheim >>list)
(cd folder && zip -qr ../folder.zip .)
before=$(keys)
out=$(tool key import --passwords list folder)
want "a folder with an empty file" $? 65
want "imported" "$(grep -c ^imported <<<"$out")" 9
want "known" "$(grep -c ^known <<<"$out")" 1
match "login" "$out" '^skipped +folder/login.p12 .*client authentication'
match "no key" "$out" '^skipped +folder/README.txt '
match "certificates" "$out" '^skipped +folder/chain.pem '
match "empty" "$out" '^failed +folder/empty.p12 .*the file is empty'
match "a Japanese name" "$out" 'folder/テスト.p12'
want "keys" "$(keys)" $((before + 9))
out=$(tool key import --json --passwords list folder.zip)
want "the same as an archive" "$(grep -c '"outcome":"known"' <<<"$out")" 10
match "counts" "$out" '"summary":\{"files":14,"done":14,"imported":0,"known":10,"held":0,"skipped":3,"failed":1\}'
rm folder/empty.p12
want "without it" "$(status tool key import --passwords list folder)" 0
tool key import --passwords list --report report folder >out 2>counts
want "report" "$(cut -f1 report | sort | uniq -c | tr -s ' \n' ' ')" " 10 known 3 skipped "
want "mode of the report" "$(stat -c %a report)" 600
[ ! -s out ] || fail "the report is on standard output as well"
head -c 300 folder.zip >cut.zip
said "the ZIP archive cannot be read" key import cut.zip
(cd folder && zip -q -P x ../locked.zip alice.p12)
match "an archive with a password" "$(tool key import locked.zip)" 'failed .*the ZIP archive itself has a password'
head -c 3000000 /dev/zero >zeros.p12
zip -q bomb.zip zeros.p12
match "a bomb" "$(tool key import bomb.zip)" 'failed .*compressed more than 100 times'

cp zeros.p12 "$(printf 'a\302\2332Jb\033c.p12')"
zip -q names.zip a*b*c.p12 && rm a*b*c.p12
match "a name for terminals" "$(tool key import names.zip)" 'failed .*names.zip/a..2Jb.c.p12'
mismatch "a name for terminals" "$(tool key import names.zip)" "$(printf '\302\233')"

# --- tables: address, file, PIN; CP932 and CR LF; standard input
for i in 1 2 3; do
	person t$i t$i@example.org
done
p12 t1 'pin-1'
openssl pkcs12 -export -inkey t2.key -in t2.pem -passout "pass:暗証" -out t2.p12
p12 t3 'pin-3'
{
	printf 'メール\tファイル\t暗証番号\r\n'
	printf 't1@example.org\tt1.p12\tpin-1\r\nt2@example.org\tt2.p12\t暗証\r\n'
	printf 't1@example.org\tt3.p12\tpin-3\r\nt4@example.org\tt4.p12\tx'
} | iconv -f UTF-8 -t CP932 >table.tsv
want "a table that others can read" "$(status tool key import --tsv table.tsv t1.p12)" 64
chmod 600 table.tsv
mkdir tables && cp t1.p12 t2.p12 t3.p12 bob.p12 tables
out=$(tool key import --tsv table.tsv tables)
want "table" $? 65
match "row" "$out" '^imported +tables/t1.p12 +t1@example.org'
match "a PIN in Japanese" "$out" '^imported +tables/t2.p12 +t2@example.org'
match "the wrong person's" "$out" '^failed +tables/t3.p12 .*its certificate is for t3@example.org, not for t1@example.org'
match "no file" "$out" '^failed +t4.p12 .*there is no such file'
match "not in the table" "$out" '^skipped +tables/bob.p12 .*not in the table'
printf 'x\tt3.p12\ty\tt3@example.org\tpin-3\n' | tool key import --tsv - --columns 4,2,5 tables |
	grep -q '^imported .*t3.p12' || fail "columns"
match "PINs in the log" "$(cat "$work"/*.log)" . # there is one
mismatch "PINs in the log" "$(cat "$work"/*.log "$d"/ledger/*.jsonl)" 'pin-[0-9]|geheim|暗証'

# --- in two parts
for i in 1 2 3 4; do
	person h$i h$i@example.org
	p12 h$i "secret$i"
done
before=$(keys)
out=$(tool key import --hold --address h1@example.org h1.p12)
match "held" "$out" '^h[0-9a-f]{16}  h1@example.org  waits for its PIN'
id=${out%% *}
tool key import --hold h2.p12 h3.p12 h4.p12 | grep -c '^held ' | grep -qx 3 || fail "three held"
match "again" "$(tool key import --hold h2.p12)" 'waits for its PIN already'
said "the PKCS#12 file is damaged or cut short" key import --hold cut.p12
said "there is no private key in it" key import --hold alice.pem
want "held files" "$(tool key held | wc -l)" 4
match "held, as JSON" "$(tool key held --json)" '"held":"'"$id"'","address":"h1@example.org","file":"h1.p12"'
want "no keys yet" "$(keys)" "$before"
want "a wrong PIN" "$(echo no | status tool key pin h1@example.org)" 65
match "is counted" "$(tool key held)" "$id .* 1 wrong"
tool vault rekey --deep || fail "rekey --deep with held files"
match "the PIN" "$(echo secret1 | tool key pin h1@example.org)" ' both .*h1@example.org'
want "no more" "$(echo secret1 | status tool key pin "$id")" 65
match "is known" "$(tool key import --hold h1.p12)" 'its key is in already'
h2=$(tool key held | sed -n 's/^\(h[0-9a-f]*\) .*h2.p12.*/\1/p')
for i in 1 2 3 4 5 6 7 8 9 10; do
	echo "no$i" | tool key pin "$h2" && fail "PIN no$i"
done
want "locked" "$(echo secret2 | status tool key pin "$h2")" 65
match "locked" "$(tool key held)" "$h2 .*10 wrong  LOCKED"
tool key import --hold h2.p12 >/dev/null
match "held again" "$(tool key held)" "$h2 .* 0 wrong$"
(umask 077 && printf 'h2.p12\tsecret2\nh3.p12\tnot\nh9.p12\tx\n' >pins)
out=$(tool key pin --tsv pins)
want "PINs of a table" $? 65
match "one" "$out" '^imported +h2.p12 +h2@example.org'
match "wrong" "$out" '^failed +h3.p12 .*the PIN is wrong; 9 more may be tried'
match "none" "$out" '^failed +h9.p12 .*no such file waits'
h3=$(tool key held | sed -n 's/^\(h[0-9a-f]*\) .*h3.p12.*/\1/p')
tool key held drop "$h3" >/dev/null || fail "drop"
want "left" "$(tool key held | wc -l)" 1
want "keys" "$(keys)" $((before + 2))
out=$(tool audit search --type admin)
for event in key.hold key.pin key.pin.wrong key.held.drop; do
	match "ledger" "$out" "event=$event "
done
match "the ledger names the held file" "$out" "event=key.import .*held=$id"
strings -n 6 "$d/vault.db" | grep -q 'h3.p12' && fail "a dropped row is still in the file"

# A PIN that takes seconds to try: it is counted before, and others are served meanwhile.
person h5 h5@example.org
p12 h5 secret5 -iter 1500000
h5=$(tool key import --hold --address h5@example.org h5.p12)
h5=${h5%% *}
echo secret5 >h5.pin
"$sealgate" -c "$conf" key pin "$h5" <h5.pin >h5.out 2>&1 &
runner=$!
pids="$pids $runner"
wait_for 20 sh -c "'$sealgate' -c '$conf' key held | grep -q '^$h5 .* 1 wrong\$'" ||
	fail "the vault serves nobody while a PIN is tried: $(cat h5.out)"
wait $runner
want "a slow PIN" $? 0
want "it is no more held" "$(tool key held | grep -c "^$h5")" 0

# --- rights: one holds, the other has the PIN
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
	stop "$vault_pid"
	sed -i '/^operators/,/^);/d' "$conf"
	echo 'operators = ( { user = "4243"; rights = ["hold"]; }, { user = "4244"; rights = ["pin"]; } );' >>"$conf"
	"$sealgate" -c "$conf" check >/dev/null || fail "operators"
	chmod 711 "$work" "$d" "$d/run"
	chmod 644 "$conf" "$d/ca.pem"
	start vault "$vault" -c "$conf" -f
	vault_pid=$pid
	wait_for 10 "$sealgate" -c "$conf" key held || fail "the vault does not come back"
	chmod 666 "$d/run/admin.sock"
	cp h3.p12 password "$work/run/" && chmod 755 "$work/run" && chmod 644 "$work"/run/*
	as() { # UID COMMAND…
		local uid=$1
		shift
		setpriv --reuid="$uid" --regid="$uid" --clear-groups "$sealgate" -c "$conf" "$@" 2>>"$work/tool.log"
	}
	match "hold" "$(as 4243 key import --hold --address h3@example.org run/h3.p12)" 'waits for its PIN'
	want "the holder has no PIN" "$(echo secret3 | status as 4243 key pin h3@example.org)" 65
	want "nor other commands" "$(status as 4243 key import --password run/password run/h3.p12)" 65
	want "the other one holds nothing" "$(status as 4244 key import --hold run/h3.p12)" 65
	match "pin" "$(echo secret3 | as 4244 key pin h3@example.org)" 'h3@example.org'
fi

# --- a full disk: nothing half done, 75, and it goes on afterwards
if command -v prlimit >/dev/null; then
	before=$(keys)
	prlimit --pid "$vault_pid" --fsize=4096: || fail prlimit
	for i in 5 6 7; do
		person f$i f$i@example.org
		p12 f$i geheim
	done
	want "full" "$(status tool key import --password password f5.p12 f6.p12 f7.p12)" 75
	want "full, held" "$(status tool key import --hold f5.p12)" 75
	prlimit --pid "$vault_pid" --fsize=unlimited: || fail prlimit
	want "nothing half done" "$(keys)" "$before"
	want "no file is held" "$(tool key held | wc -l)" "$(tool key held | grep -vc f5.p12)"
	want "space again" "$(status tool key import --password password f5.p12 f6.p12 f7.p12)" 0
	want "keys" "$(keys)" $((before + 3))
fi

# --- interrupted between two files, killed in the middle, the vault killed: run it again
before=$(keys)
"$builddir/keymaker" many 300 || fail keymaker
chmod 600 table.tsv
begin() {
	"$sealgate" -c "$conf" key import --tsv table.tsv many >run.out 2>run.err &
	runner=$!
	pids="$pids $runner"
}
begin
wait_for 20 grep -q imported run.out || fail "nothing is imported"
kill -INT $runner
wait $runner
want "interrupted" $? 75
match "interrupted" "$(cat run.err)" 'interrupted; run it again for the rest'
match "interrupted" "$(cat run.err)" '[0-9]+ of 300 files: '
for i in 1 2; do
	begin
	wait_for 20 grep -q imported run.out
	kill -9 $runner
	wait $runner 2>/dev/null
done
begin
wait_for 20 grep -q imported run.out
kill -9 "$vault_pid"
wait $runner
tool key import --tsv table.tsv many >run.out
want "the rest" $? 0
want "all" "$(grep -cE '^(imported|known)' run.out)" 300
want "keys" "$(keys)" $((before + 300))
want "addresses" "$(tool key list | grep -c 'user[0-9]*@example.org')" 309
match "the ledger" "$(tool audit verify)" 'The ledger is whole'

# --- old algorithms without the legacy provider
person rc2 rc2@example.org
p12 rc2 geheim -legacy
OPENSSL_MODULES=$work "$sealgate" -c "$conf" key import --password password rc2.p12 2>rc2.log && fail "RC2 without legacy.so"
grep -q "legacy provider (legacy.so) is needed" rc2.log || fail "what is missing is not said"
match "with it" "$(tool key import --password password rc2.p12)" 'rc2@example.org'
finish
