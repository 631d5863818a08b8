#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A year with a service that makes certificates for a whole university: forms out, PKCS#12 back, renewals,
# revocations, and its list beside the keys here.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"

made_gate
vault_up
# run STATUS WHAT ARGUMENTS…: output in $work/out, messages in $work/err
run() {
	local expected=$1 what=$2
	shift 2
	"$builddir/sealgate" -c "$conf" "$@" >"$work/out" 2>"$work/err"
	want "$what" $? "$expected"
}
quiet() {
	"$@" >>"$work/openssl.log" 2>&1 || fail "$*"
}

# --- the service's CA, and a certificate for a person: a key, the chain, a PIN
ca=$work/ca
mkdir "$ca"
quiet openssl req -x509 -newkey rsa:2048 -nodes -keyout "$ca/root.key" -out "$ca/root.pem" -days 3650 \
	-subj '/C=JP/O=Service/CN=Service SMIME CA' -addext basicConstraints=critical,CA:TRUE
# person NAME SUBJECT SERIAL DAYS
person() {
	quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/$1.key" -subj "$2" -out "$ca/$1.csr"
	printf 'subjectAltName=email:%s@%s\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=emailProtection\n' \
		"$1" "$org" >"$ca/ext"
	quiet openssl x509 -req -in "$ca/$1.csr" -CA "$ca/root.pem" -CAkey "$ca/root.key" -set_serial "0x$3" -days "$4" \
		-extfile "$ca/ext" -out "$ca/$1.pem"
	quiet openssl pkcs12 -export -inkey "$ca/$1.key" -in "$ca/$1.pem" -passout "pass:pin-$1" -out "$ca/$1@$org.p12"
	echo "pin-$1" >"$ca/$1.pin"
	gate key import --password "$ca/$1.pin" "$ca/$1@$org.p12" >/dev/null || fail "import of $1"
}

# --- the maps, filled in as an administrator does
mkdir "$dir/bulk"
for form in issue renew revoke; do
	sed -e 's/^#set /set /' "$srcdir/contrib/bulk/upki-$form.conf" >"$dir/bulk/upki-$form.conf"
done
cp "$srcdir/contrib/bulk/upki-status.conf" "$dir/bulk"
printf 'address\tname\tdepartment\tdepartment-en\r\n' >"$work/people.tsv"
printf 'alice@%s\t国立 花子①\t㈱情報～ｱｲ\tInformatics, Lab\r\n' "$org" >>"$work/people.tsv"
printf 'bob@%s\t髙﨑 次郎\t総務部\t\r\ncarol@%s\tCarol\t医学部\tMedicine\r\n' "$org" "$org" >>"$work/people.tsv"
printf 'dave@%s\tDave\tDept\tLaw\r\n' "$org" >>"$work/people.tsv"
iconv -f UTF-8 -t CP932 "$work/people.tsv" >"$work/people.sjis"

# --- new certificates: these bytes and no others
run 0 "issue" key bulk export --form upki-issue --people "$work/people.tsv" --out "$work/issue.tsv" "alice@$org" "bob@$org"
cat "$work/out" >"$work/told"
match "issue: told" "$(cat "$work/told")" "^issue +alice@$org"
officer='国立 太郎\t情報基盤センター\tra@example.ac.jp'
{
	printf 'CN=alice@%s,OU=Informatics\\, Lab,O=Example University,L=Academe,ST=Tokyo,C=JP\t7\t2\t\t\t\t\t' "$org"
	printf "$officer"
	printf '\t\talice@%s\t国立 花子①\t㈱情報～ｱｲ\talice@%s\t\r\n' "$org" "$org"
	printf 'CN=bob@%s,OU=Information Technology Center,O=Example University,L=Academe,ST=Tokyo,C=JP\t7\t2\t\t\t\t\t' "$org"
	printf "$officer"
	printf '\t\tbob@%s\t髙﨑 次郎\t総務部\tbob@%s\t\r\n' "$org" "$org"
} | iconv -f UTF-8 -t CP932 >"$work/expected"
cmp "$work/issue.tsv" "$work/expected" || fail "issue: other bytes"
want "issue: for nobody else's eyes" "$(stat -c %a "$work/issue.tsv")" 600
run 0 "issue, people in CP932" key bulk export --form upki-issue --people "$work/people.sjis" "alice@$org" "bob@$org"
cmp "$work/out" "$work/expected" || fail "issue: to standard output, people in CP932"
run 0 "columns" key bulk columns "$work/issue.tsv"
match "columns" "$(cat "$work/out")" "^ 15  alice@$org\$"
match "columns" "$(cat "$work/out")" '^ 13  国立 花子①$'
run 0 "columns as JSON" key bulk columns --json "$work/issue.tsv"
match "columns as JSON" "$(cat "$work/out")" '^{"v":1,"columns":\['
run 65 "no such row" key bulk columns --row 3 "$work/issue.tsv"

# --- what cannot be written is said by row and column, and there is no file
printf 'address\tname\tdepartment\nx@%s\t𠮷田\tA\ny@%s\t\tA\nz@%s\tZ\tA\n' "$org" "$org" "$org" >"$work/bad.tsv"
run 65 "rows that cannot be" key bulk export --form upki-issue --people "$work/bad.tsv" --list "$work/bad.tsv" --out "$work/none"
match "a character" "$(cat "$work/err")" "x@$org: row 1, column 13: U\\+20BB7 \\(𠮷\\) cannot be written in CP932"
match "an empty field" "$(cat "$work/err")" "y@$org: row 2, column 13: empty, and the form needs it: \\{name\\}"
match "how many" "$(cat "$work/err")" '2 of 3 rows cannot be written'
[ ! -e "$work/none" ] || fail "a form in spite of rows that cannot be written"
printf 'address\tname\na@%s\t"A"\n' "$org" >"$work/bad.tsv"
run 66 "quotes" key bulk export --form upki-issue --people "$work/bad.tsv" "a@$org"
match "quotes" "$(cat "$work/err")" 'row 2, column 2: the field is in quotes'
run 66 "no people" key bulk export --form upki-issue --people "$work/nix" "a@$org"
run 78 "no such form" key bulk export --form nix "a@$org"
match "no such form" "$(cat "$work/err")" "no form \"nix\": neither $dir/bulk/nix.conf nor "
run 78 "a map as it is shipped wants its words" key bulk export --form "$srcdir/contrib/bulk/upki-issue.conf" "alice@$org"
match "a map as it is shipped" "$(cat "$work/err")" 'column 1: \{department-en\} is neither set in the form nor a column'
run 64 "nobody" key bulk export --form upki-issue
run 64 "no form" key bulk export "a@$org"
run 65 "no key to renew" key bulk export --form upki-renew "nobody@$org"
run 64 "a reason for new ones" key bulk export --form upki-issue --reason superseded --people "$work/people.tsv" "alice@$org"

# --- the service's answer: files from one hand, PINs from another, the chain from a folder
quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/sub.key" -subj '/C=JP/O=Service/CN=Issuing' -out "$ca/sub.csr"
printf 'basicConstraints=critical,CA:TRUE\n' >"$ca/ext"
quiet openssl x509 -req -in "$ca/sub.csr" -CA "$ca/root.pem" -CAkey "$ca/root.key" -days 3000 -extfile "$ca/ext" -out "$ca/sub.pem"
mkdir "$work/p12"
for name in erin frank; do
	quiet openssl req -newkey rsa:2048 -nodes -keyout "$ca/$name.key" -subj "/CN=$name@$org" -out "$ca/$name.csr"
	printf 'subjectAltName=email:%s@%s\nextendedKeyUsage=emailProtection\n' "$name" "$org" >"$ca/ext"
	quiet openssl x509 -req -in "$ca/$name.csr" -CA "$ca/sub.pem" -CAkey "$ca/sub.key" -days 400 -extfile "$ca/ext" \
		-out "$ca/$name.pem"
	quiet openssl pkcs12 -export -inkey "$ca/$name.key" -in "$ca/$name.pem" -passout "pass:pin-$name" -out "$work/p12/$name.p12"
done
(umask 077; printf 'erin.p12\tpin-erin\nfrank.p12\tpin-frank\n' >"$work/pins.tsv")
run 0 "files" key import --hold "$work/p12"
run 65 "nothing is here yet" key list "erin@$org"
run 0 "PINs" key pin --tsv "$work/pins.tsv"
match "erin" "$(gate key list "erin@$org")" ' active '
want "no chain in the file" "$(gate key export --cert "erin@$org" | grep -c BEGIN)" 1
openssl x509 -in "$ca/sub.pem" -outform DER -out "$ca/sub.cer"
run 0 "the chain, later" key import-certs "$ca/erin.pem" "$ca/frank.pem" "$ca/sub.cer"
want "the chain" "$(gate key export --cert "erin@$org" | grep -c BEGIN)" 2
for name in erin frank; do
	gate key revoke "$name@$org" >/dev/null || fail "revoke $name"
done

# --- renewals by its list
person alice "/CN=alice@$org" 0f00112233445566778899aabbccddee 20
person bob "/CN=bob@$org" 1f00112233445566778899aabbccddee 200
person carol '/CN=HANAKO/OU=Medicine/O=Example University' 2f00112233445566778899aabbccddee 20
gate key new "dave@$org" --name 'Dave D' >/dev/null || fail "a key of our own CA"
# row ADDRESS DN SERIAL STATE
row() {
	printf '7\tx\ty\t%s\t%s\t%s\t2026/01/01\t\t\t\t\t\t\t\t%s@%s\r\n' "$2" "$3" "$4" "$1" "$org"
}
rest='O=Example University,L=Academe,ST=Tokyo,C=JP'
{
	row alice "CN=alice@$org,OU=Informatics\\, Lab,$rest" 0F00112233445566778899AABBCCDDEE 有効
	row bob "CN=bob@$org,OU=Old Department,$rest" 41206415379919525371357340125438467566 有効
	row carol "CN=HANAKO,OU=Medicine,$rest" 2f00112233445566778899aabbccddee 有効
} | iconv -f UTF-8 -t CP932 >"$work/list.tsv"
run 65 "due" key bulk export --form upki-renew --people "$work/people.tsv" --due 30d --status "$work/list.tsv" --out "$work/renew.tsv"
match "due: renewed" "$(cat "$work/out")" "^renew +alice@$org +serial 0f00112233445566778899aabbccddee\$"
match "due: not renewed" "$(cat "$work/out")" \
	"^left-out +carol@$org .*: the CN of the old certificate is \"HANAKO\", not the address"
mismatch "due: not yet" "$(cat "$work/out")" 'bob'
mismatch "due: our own CA's" "$(cat "$work/out")" 'dave'
want "due: a row" "$(wc -l <"$work/renew.tsv")" 1
want "due: the serial number in digits" "$(cut -f4 "$work/renew.tsv")" 19938767447360871404896427160952954350
run 0 "a new CA of our own" ca rollover
run 65 "due, of a former CA of our own" key bulk export --form upki-renew --people "$work/people.tsv" --due 1000d \
	--status "$work/list.tsv" --out "$work/renew2.tsv"
match "due, of others" "$(cat "$work/out")" "bob@$org"
mismatch "due, of a former CA of our own" "$(cat "$work/out")" 'dave'
run 0 "otherwise" key bulk export --form upki-renew --people "$work/people.tsv" --due 30d --status "$work/list.tsv" \
	--out "$work/renew.tsv" --otherwise "$work/new.tsv"
match "otherwise" "$(cat "$work/out")" "^issue +carol@$org .*not the address"
want "otherwise: the other form" "$(cut -f1,4 "$work/new.tsv")" "CN=carol@$org,OU=Medicine,$rest	"
run 65 "another department" key bulk export --form upki-renew --people "$work/people.tsv" --status "$work/list.tsv" \
	--out "$work/none" "bob@$org"
match "another department" "$(cat "$work/out")" "^left-out +bob@$org .*: the name of the old certificate is another one"
[ ! -e "$work/none" ] || fail "a form without rows"
run 0 "without the list" key bulk export --form upki-renew --people "$work/people.tsv" --out "$work/renew.tsv" --json "bob@$org"
match "without the list" "$(cat "$work/out")" '^\{"v":1,"form":"renew",.*"rows":\[\{"action":"renew","address":"bob@'

# --- the list beside the keys
run 0 "status" key bulk status "$work/list.tsv"
want "status: nothing" "$(wc -l <"$work/out")" 0
match "status" "$(cat "$work/err")" '3 rows, 3 as here, 0 left out, 0 differences'
{
	row alice "CN=alice@$org" 0F00112233445566778899AABBCCDDEE 失効
	row grace "CN=grace@$org" 3F 有効
} | iconv -f UTF-8 -t CP932 >"$work/list2.tsv"
run 65 "status with differences" key bulk status "$work/list2.tsv"
match "revoked there" "$(cat "$work/out")" "^revoked-there +alice@$org +k[0-9a-f]+ .*row 1: "
match "no key" "$(cat "$work/out")" "^no-key +grace@$org "
match "not listed" "$(cat "$work/out")" "^not-listed +bob@$org "
mismatch "our own CA's" "$(cat "$work/out")" 'dave'
run 65 "status as JSON" key bulk status --json "$work/list2.tsv"
match "status as JSON" "$(cat "$work/out")" '^\{"v":1,"rows":2,"same":0,"ignored":0,"findings":\[\{"kind":"revoked-there",'
printf '\x81' >>"$work/list2.tsv"
run 66 "a list that is cut" key bulk status "$work/list2.tsv"
match "a list that is cut" "$(cat "$work/err")" 'row 3, column 1: neither UTF-8 nor CP932'
run 78 "a form for a list" key bulk status --form upki-issue "$work/list.tsv"

# --- revocations, and the keys marked with them
run 64 "no reason" key bulk export --form upki-revoke --people "$work/people.tsv" --out "$work/revoke.tsv" "bob@$org"
run 64 "no such reason" key bulk export --form upki-revoke --reason whim --out "$work/revoke.tsv" "bob@$org"
run 64 "no comment" key bulk export --form upki-revoke --reason unspecified --out "$work/revoke.tsv" "bob@$org"
match "no comment" "$(cat "$work/err")" 'the reason unspecified wants a --comment'
run 64 "apply without a file" key bulk export --form upki-revoke --reason superseded --apply "bob@$org"
match "still active" "$(gate key list "bob@$org")" ' active '
run 0 "revoke" key bulk export --form upki-revoke --people "$work/people.tsv" --reason unspecified --comment 退職 --apply \
	--out "$work/revoke.tsv" "bob@$org"
want "revoke: the fields" "$(iconv -f CP932 -t UTF-8 "$work/revoke.tsv" | cut -f4-6)" \
	"41206415379919525371357340125438467566	0	退職"
match "revoked" "$(gate key list "bob@$org")" ' revoked '
match "in the ledger" "$(gate audit search --type admin)" 'event=key.revoke'
cp "$work/revoke.tsv" "$work/before"
run 0 "revoke again" key bulk export --form upki-revoke --people "$work/people.tsv" --reason unspecified --comment 退職 --apply \
	--out "$work/revoke.tsv" "bob@$org"
cmp "$work/revoke.tsv" "$work/before" || fail "a second run wrote another form"
run 65 "revoked here" key bulk status "$work/list.tsv"
match "revoked here" "$(cat "$work/out")" "^revoked-here +bob@$org "
key=$(gate key list "carol@$org" | cut -d' ' -f1)
run 0 "by the key's id" key bulk export --form upki-revoke --people "$work/people.tsv" --reason superseded --out "$work/revoke.tsv" "$key"
match "by the key's id" "$(cat "$work/out")" "^revoke +carol@$org +serial 2f00"
match "not applied" "$(gate key list "carol@$org")" ' active '
# A folder that cannot be written: no key is marked.
run 75 "a form that cannot be written" key bulk export --form upki-revoke --people "$work/people.tsv" --reason superseded --apply \
	--out "$work/no/such/folder/f" "$key"
match "nothing half done" "$(gate key list "carol@$org")" ' active '
finish
