#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Interoperability, by algorithm: mail that the gateway makes is read by other people's programs, and theirs by the gateway
# ("sealgate process" with a running vault, and "sealgate verify"); each is also shown to fail when it should.
#
#   tests/interop/peers.sh [--table]     --table: the tables as they stand in the guide, nothing compared
#
# The peers are peers/*.sh: NAME_up prints its version, or fails when the program is not there; "NAME_make OUT FROM TO
# ENTITY STEP…" makes a message, "NAME_read IN PERSON LAYERS OUT" takes so many layers off. A step is
# clear=HOW=SIGNERS, opaque=HOW=SIGNERS or encrypt=CIPHER=TRANSPORT=RECIPIENTS. Java runs once for all commands.
# The tables are compared with those of doc/guide.md: with the same versions they are equal; with others nothing
# that worked may fail.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"
. "$srcdir/tests/flow/world.sh"

parts=$srcdir/tests/interop/mime-parts
thunderbird=${SEALGATE_THUNDERBIRD:-/var/cache/sealgate-tests/thunderbird}
guide=$srcdir/doc/guide.md
command -v perl >/dev/null || skip "perl is not installed"
mkdir "$work/peers" && cd "$work/peers" && mkdir people ours made got neg answer tmp || exit 1
export TMPDIR=$work/peers/tmp LC_ALL=C
unset LD_LIBRARY_PATH

people="rsa2048 rsa3072 rsa4096 p256 p384 p521 ed25519 x25519"
partners=$people staff=$people
columns="openssl bc nss tbnss gpgsm mutt"
names="OpenSSL|Bouncy Castle|NSS|NSS of Thunderbird|gpgsm|mutt"

# What is tried: id; title; ours: mark in Subject:, sender, recipients; layers; the peer's person; theirs: steps.
rows() {
	cat <<-'E'
	r2048;RSA-2048, SHA-256, clear;clear;rsa2048;-;1;rsa2048;clear=sha256=p-rsa2048
	r3072;RSA-3072, SHA-256, clear;clear;rsa3072;-;1;rsa2048;clear=sha256=p-rsa3072
	r4096;RSA-4096, SHA-256, clear;clear;rsa4096;-;1;rsa2048;clear=sha256=p-rsa4096
	s384;RSA-2048, SHA-384, clear;-;-;-;1;rsa2048;clear=sha384=p-rsa2048
	s512;RSA-2048, SHA-512, clear;-;-;-;1;rsa2048;clear=sha512=p-rsa2048
	pss;RSA-PSS, SHA-256, clear;pss;rsa2048;-;1;rsa2048;clear=pss=p-rsa2048
	p256;ECDSA P-256, SHA-256, clear;clear;p256;-;1;rsa2048;clear=sha256=p-p256
	p384;ECDSA P-384, SHA-384, clear;clear;p384;-;1;rsa2048;clear=sha384=p-p384
	p521;ECDSA P-521, SHA-512, clear;clear;p521;-;1;rsa2048;clear=sha512=p-p521
	ed;Ed25519, clear;clear;ed25519;-;1;rsa2048;clear=eddsa=p-ed25519
	opaque;RSA-2048, SHA-256, opaque;opaque;rsa2048;-;1;rsa2048;opaque=sha256=p-rsa2048
	ber;the same in BER;-;-;-;1;rsa2048;opaque=ber=p-rsa2048
	ski;signer named by key identifier;-;-;-;1;rsa2048;clear=ski=p-rsa2048
	two;two signers, RSA-2048 and P-256;-;-;-;1;rsa2048;clear=sha256=p-rsa2048,p-p256
	e3des;RSA v1.5, 3DES;-;-;-;1;rsa2048;encrypt=3des=v15=s-rsa2048
	e128;RSA v1.5, AES-128-CBC;-;-;-;1;rsa2048;encrypt=aes128=v15=s-rsa2048
	e256;RSA-2048 v1.5, AES-256-CBC;cbc;rsa2048;rsa2048;1;rsa2048;encrypt=aes256=v15=s-rsa2048
	e3072;RSA-3072 v1.5, AES-256-CBC;cbc;rsa2048;rsa3072;1;rsa3072;encrypt=aes256=v15=s-rsa3072
	e4096;RSA-4096 v1.5, AES-256-CBC;cbc;rsa2048;rsa4096;1;rsa4096;encrypt=aes256=v15=s-rsa4096
	eder;the same, RSA-2048, in DER;-;-;-;1;rsa2048;encrypt=aes256=der=s-rsa2048
	eski;recipient named by key identifier;-;-;-;1;rsa2048;encrypt=aes256=ski=s-rsa2048
	oaep1;RSA-OAEP SHA-1, AES-256-CBC;-;-;-;1;rsa2048;encrypt=aes256=oaep-sha1=s-rsa2048
	oaep2;RSA-OAEP SHA-256, AES-256-CBC;-;-;-;1;rsa2048;encrypt=aes256=oaep-sha256=s-rsa2048
	g128;RSA v1.5, AES-128-GCM;-;-;-;1;rsa2048;encrypt=gcm128=v15=s-rsa2048
	g256;RSA v1.5, AES-256-GCM;-;-;-;1;rsa2048;encrypt=gcm256=v15=s-rsa2048
	modern;RSA-OAEP SHA-256, AES-256-GCM;gcm;rsa2048;rsa2048;1;rsa2048;encrypt=gcm256=oaep-sha256=s-rsa2048
	k128;ECDH P-256, SHA-256 KDF, AES-128-CBC;-;-;-;1;p256;encrypt=aes128=ecdh-sha256=s-p256
	k256;ECDH P-256, SHA-256 KDF, AES-256-CBC;cbc;rsa2048;p256;1;p256;encrypt=aes256=ecdh-sha256=s-p256
	k384;ECDH P-384, SHA-256 KDF, AES-256-CBC;cbc;rsa2048;p384;1;p384;encrypt=aes256=ecdh-sha256=s-p384
	k521;ECDH P-521, SHA-256 KDF, AES-256-CBC;cbc;rsa2048;p521;1;p521;encrypt=aes256=ecdh-sha256=s-p521
	ksha1;ECDH P-256, SHA-1 KDF, AES-256-CBC;-;-;-;1;p256;encrypt=aes256=ecdh-sha1=s-p256
	kgcm;ECDH P-256, SHA-256 KDF, AES-256-GCM;gcm;rsa2048;p256;1;p256;encrypt=gcm256=ecdh-sha256=s-p256
	x25519;X25519, SHA-256 KDF, AES-256-CBC;cbc;rsa2048;x25519;1;x25519;encrypt=aes256=ecdh-sha256=s-x25519
	many;two recipients, RSA-2048 and RSA-3072;cbc;rsa2048;rsa2048,rsa3072;1;rsa2048;encrypt=any=v15=s-rsa2048,s-rsa3072
	nest;signed clear, then encrypted;nested;rsa2048;rsa2048;2;rsa2048;clear=sha256=p-rsa2048 encrypt=any=v15=s-rsa2048
	nesto;signed opaque, then encrypted;nested-opaque;rsa2048;rsa2048;2;rsa2048;opaque=sha256=p-rsa2048 encrypt=any=v15=s-rsa2048
	triple;signed, encrypted, signed;-;-;-;3;rsa2048;clear=sha256=p-rsa2048 encrypt=any=v15=s-rsa2048 clear=sha256=p-rsa2048
	E
}

# What must fail: id; title; the file the peer reads; as whom; the row that it reads when all is well
fates() {
	cat <<-'E'
	text;text changed after signing;neg/text.eml;rsa2048;r2048
	sig;signature changed;neg/sig.eml;rsa2048;opaque
	gcm;AES-GCM content changed;neg/gcm.eml;rsa2048;modern
	key;for somebody else;ours/stranger.eml;rsa2048;e256
	ca;signed below a CA that nobody trusts;neg/ca.eml;rsa2048;control
	expired;signed with an expired certificate;neg/expired.eml;rsa2048;control
	E
}

# --- people: keys, a certificate of each as a partner and one as staff, a CA; another CA; somebody whose time is over

# certify NAME KEY ADDRESS CA [DATES…]: people/NAME.pem
certify() {
	local name=$1 key=$2 address=$3 ca=$4 usage
	shift 4
	case "$key" in
	rsa*) usage=digitalSignature,keyEncipherment ;;
	ed*) usage=digitalSignature ;;
	x*) usage=keyAgreement ;;
	*) usage=digitalSignature,keyAgreement ;;
	esac
	printf 'basicConstraints=critical,CA:FALSE\nsubjectAltName=email:%s\nkeyUsage=critical,%s\nextendedKeyUsage=emailProtection\n' \
		"$address" "$usage" >"people/$name.ext"
	printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >>"people/$name.ext"
	[ $# -gt 0 ] || set -- -days 20
	openssl x509 -new -force_pubkey "people/$key.pub" -subj "/CN=$name" -CA "people/$ca.pem" -CAkey "people/$ca.key" \
		-set_serial "0x$(openssl rand -hex 12)" -sha256 -extfile "people/$name.ext" "$@" -out "people/$name.pem" 2>>people.log
}

ca() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "people/$1.key" -out "people/$1.pem" -days 30 -subj "/CN=$2" \
		-addext keyUsage=critical,keyCertSign,cRLSign 2>>people.log
	openssl x509 -in "people/$1.pem" -outform DER -out "people/$1.der"
}

# person KIND: key files of all kinds
person() {
	local kind=$1 args name
	case "$kind" in
	rsa*) args="-algorithm RSA -pkeyopt rsa_keygen_bits:${kind#rsa}" ;;
	p*) args="-algorithm EC -pkeyopt ec_paramgen_curve:P-${kind#p}" ;;
	*) args="-algorithm $kind" ;;
	esac
	# shellcheck disable=SC2086 # words
	openssl genpkey $args -out "people/$kind.key" 2>>people.log
	openssl pkey -in "people/$kind.key" -pubout -out "people/$kind.pub"
	for name in "p-$kind@$partner" "s-$kind@$org"; do
		certify "${name%@*}" "$kind" "${name#?-}" ca || fail "a certificate for ${name%@*}: $(tail -n 3 people.log)"
		name=people/${name%@*}
		cp "people/$kind.key" "$name.key"
		openssl pkcs8 -topk8 -nocrypt -in "$name.key" -outform DER -out "$name.p8"
		openssl x509 -in "$name.pem" -outform DER -out "$name.der"
		openssl pkcs12 -export -inkey "$name.key" -in "$name.pem" -certfile people/ca.pem -name "${name#*/}" \
			-passout pass:x -out "$name.p12"
	done
}

make_people() {
	local kind
	ca ca "Interop CA"
	ca other "Nobody's CA"
	for kind in $people; do
		person "$kind"
	done
	certify p-ca rsa2048 "rsa2048@$partner" other
	# OpenSSL 3.5 takes no negative days, 3.0 no dates.
	certify p-expired rsa2048 "rsa2048@$partner" ca -days -1 ||
		certify p-expired rsa2048 "rsa2048@$partner" ca -not_before 20240101000000Z -not_after 20240201000000Z ||
		fail "no certificate that is expired"
	cp people/rsa2048.key people/p-ca.key
	cp people/rsa2048.key people/p-expired.key
	# A partner whose key nobody here has
	openssl genpkey -algorithm RSA -out people/rsa-stranger.key 2>>people.log
	openssl pkey -in people/rsa-stranger.key -pubout -out people/rsa-stranger.pub
	certify p-stranger rsa-stranger "stranger@$partner" ca
	printf 'Content-Type: text/plain; charset=us-ascii\r\n\r\n' >entity
	printf 'interop-secret\r\nA line with  blanks, = and a dot:\r\n.\r\n-- \r\nthe end of it\r\n' >text
	cat text >>entity
}

make_world() {
	local kind
	made_gate
	cat >>"$conf" <<-E
	rules = (
		{ name = "clear"; subject_mark = "[clear]"; direction = "outbound"; sign = "required"; },
		{ name = "opaque"; subject_mark = "[opaque]"; direction = "outbound"; sign = "required"; form = "opaque"; },
		{ name = "pss"; subject_mark = "[pss]"; direction = "outbound"; sign = "required"; preset = "modern"; },
		{ name = "cbc"; subject_mark = "[cbc]"; direction = "outbound"; encrypt = "required"; },
		{ name = "gcm"; subject_mark = "[gcm]"; direction = "outbound"; encrypt = "required"; preset = "modern"; },
		{ name = "nested"; subject_mark = "[nested]"; direction = "outbound"; sign = "required"; encrypt = "required"; },
		{ name = "nested-opaque"; subject_mark = "[nested-opaque]"; direction = "outbound"; sign = "required";
		  form = "opaque"; encrypt = "required"; }
	);
	E
	vault_up
	echo x >password
	for kind in $staff; do
		gate key import --password password "people/s-$kind.p12" >/dev/null || echo "no key $kind in the vault" >>"$work/tool.log"
	done
	gate cert add --anchor people/ca.pem >/dev/null || fail "cert add --anchor"
	for kind in $partners stranger; do
		gate cert add "people/p-$kind.pem" >/dev/null || echo "no certificate $kind" >>"$work/tool.log"
	done
}

# --- what we make

seal() { # ID MARK SENDER RECIPIENTS
	local id=$1 sender=$3@$org to='' rcpt=() name
	for name in ${4//,/ }; do
		[ "$name" = - ] && name=reader@elsewhere.example || name=$name@$partner
		rcpt+=(--rcpt "$name")
		to="$to${to:+, }$name"
	done
	{
		printf 'From: %s\nTo: %s\nSubject: [%s] %s\nDate: %s\nMessage-ID: <%s@%s>\nMIME-Version: 1.0\n' \
			"$sender" "$to" "$2" "$id" "$(date -R)" "$id" "$org"
		tr -d '\r' <entity
	} >"tmp/$id.eml"
	mkdir "tmp/$id"
	gate process --sender "$sender" --user "$sender" "${rcpt[@]}" --out "tmp/$id" <"tmp/$id.eml" >"answer/$id.ours" || return 1
	grep -qE '"(signed|encrypted)":true' "answer/$id.ours" || return 1
	mv "tmp/$id/1.eml" "ours/$id.eml"
}

make_ours() {
	local id title mark sender rcpts rest
	while IFS=';' read -r id title mark sender rcpts rest; do
		[ "$mark" = - ] || seal "$id" "$mark" "$sender" "$rcpts" || echo "we do not make: $title" >>"$work/tool.log"
	done < <(rows)
	seal stranger cbc rsa2048 stranger
	for id in stranger r2048 p256 pss opaque e256 modern k256 nest nesto; do
		[ -s "ours/$id.eml" ] || fail "$id was not made: $(cat "answer/$id.ours")"
	done
}

# Mail that nobody may believe or open
make_fates() {
	local who
	"$parts" change ours/r2048.eml text >neg/text.eml || fail "no text to change"
	"$parts" change ours/opaque.eml cms >neg/sig.eml || fail "no signature to change"
	"$parts" change ours/modern.eml cms >neg/gcm.eml || fail "no content to change"
	cp people/p-rsa2048.pem people/p-control.pem
	cp people/rsa2048.key people/p-control.key
	for who in control ca expired; do
		openssl_make neg/$who.eml "rsa2048@$partner" "rsa2048@$org" entity "clear=sha256=p-$who" 2>>"$work/openssl.log" ||
			fail "mail of $who"
	done
}

# --- what the peers do

from_of() { # STEPS: the address of the first signer
	local steps=$1 signer
	signer=$(sed -n 's/^\(clear\|opaque\)=[^=]*=p-\([^, ]*\).*/\2/p' <<<"$steps")
	echo "${signer:-rsa2048}@$partner"
}

# shell_peer NAME: makes and reads everything, its answers in answer/NAME
shell_peer() {
	local peer=$1 id title mark sender rcpts layers person steps file rest
	mkdir "tmp/$peer"
	ln -s "$PWD/people" "tmp/$peer/people"
	cp entity text "tmp/$peer/"
	{
		cd "tmp/$peer" || exit 1
		while IFS=';' read -r id title mark sender rcpts layers person steps; do
			# shellcheck disable=SC2086 # steps are words
			if "${peer}_make" "$id.made" "$(from_of "$steps")" "$person@$org" entity $steps; then
				cp "$id.made" "../../made/$id.$peer.eml"
			else
				echo "$peer did not make $id"
			fi
			file=../../ours/$id.eml
			[ -s "$file" ] || continue
			rm -f got
			if "${peer}_read" "$file" "p-$person" "$layers" got && "$parts" has got text; then
				echo "read-$id yes" >&3
			else
				echo "read-$id no" >&3
			fi
		done
		# Made as those that must fail are, of a good certificate.
		rm -f got
		"${peer}_read" ../../neg/control.eml p-rsa2048 1 got && "$parts" has got text && echo "read-control yes" >&3
		while IFS=';' read -r id title file person rest; do
			rm -f got
			if "${peer}_read" "../../$file" "p-$person" 1 got && "$parts" has got text; then
				echo "fate-$id believed" >&3
			else
				echo "fate-$id fails" >&3
			fi
		done < <(fates)
	} < <(rows) 3>"answer/$peer" >"$work/$peer.log" 2>&1
}

bc_peer() {
	local id title mark sender rcpts layers person steps file rest tab=$'\t'
	while IFS=';' read -r id title mark sender rcpts layers person steps; do
		# shellcheck disable=SC2086
		echo "make${tab}make-$id${tab}made/$id.bc.eml${tab}$(from_of "$steps")${tab}$person@$org${tab}entity$(printf '\t%s' $steps)"
		[ ! -s "ours/$id.eml" ] || echo "read${tab}read-$id${tab}ours/$id.eml${tab}p-$person${tab}ca${tab}$layers${tab}got/$id.bc"
	done < <(rows) >bc.commands
	echo "read${tab}read-control${tab}neg/control.eml${tab}p-rsa2048${tab}ca${tab}1${tab}got/control.bc" >>bc.commands
	while IFS=';' read -r id title file person rest; do
		echo "read${tab}fate-$id${tab}$file${tab}p-$person${tab}ca${tab}1${tab}got/fate-$id.bc"
	done < <(fates) >>bc.commands
	bc_run bc.commands >bc.answers 2>"$work/bc.log" || fail "Java"
	cat bc.answers >>"$work/bc.log"
	while read -r id mark rest; do
		case "$id" in
		read-*) [ "$mark" = yes ] && ! "$parts" has "got/${id#read-}.bc" text && mark=no ;;
		fate-*) [ "$mark" = no ] && mark=fails || mark=believed ;;
		*) continue ;;
		esac
		echo "$id $mark"
	done <bc.answers >answer/bc
}

# --- is it what the row says?

# words ID: what `openssl asn1parse` calls the algorithms of a row
words() {
	case "$1" in
	r2048 | r3072 | r4096 | opaque | ber | ski) echo sha256 ;;
	s384) echo sha384 ;;
	s512) echo sha512 ;;
	pss) echo rsassaPss sha256 mgf1 ;;
	p256) echo ecdsa-with-SHA256 ;;
	p384) echo ecdsa-with-SHA384 ;;
	p521) echo ecdsa-with-SHA512 ;;
	ed) echo ED25519 ;;
	two) echo ecdsa-with-SHA256 sha256 ;;
	e3des) echo rsaEncryption des-ede3-cbc ;;
	e128) echo rsaEncryption aes-128-cbc ;;
	e256 | e3072 | e4096 | eder | eski) echo rsaEncryption aes-256-cbc ;;
	oaep1) echo rsaesOaep aes-256-cbc ;;
	oaep2) echo rsaesOaep sha256 mgf1 aes-256-cbc ;;
	g128) echo rsaEncryption aes-128-gcm ;;
	g256) echo rsaEncryption aes-256-gcm ;;
	modern) echo rsaesOaep sha256 aes-256-gcm ;;
	k128) echo dhSinglePass-stdDH-sha256kdf-scheme aes-128-cbc ;;
	k256 | k384 | k521) echo dhSinglePass-stdDH-sha256kdf-scheme aes-256-cbc ;;
	ksha1) echo dhSinglePass-stdDH-sha1kdf-scheme aes-256-cbc ;;
	kgcm) echo dhSinglePass-stdDH-sha256kdf-scheme aes-256-gcm ;;
	esac
}

# is_so FILE ID: the outermost CMS has these algorithms
is_so() {
	local word
	"$parts" split "$1" tmp >/dev/null || return 1
	openssl asn1parse -inform DER -in tmp/cms >tmp/asn1 2>/dev/null
	for word in $(words "$2"); do
		grep -q "OBJECT *:$word\$" tmp/asn1 || { echo "$1: no $word"; return 1; }
	done
}

check_words() {
	local file id
	for file in ours/*.eml made/*.eml; do
		id=${file#*/}
		is_so "$file" "${id%%.*}" || fail "not what it is called"
	done
}

# --- what we read

# open_theirs ID PEER FROM TO LAYERS STEPS: "yes" when what comes out is the text, and every signature was good
open_theirs() {
	local id=$1 peer=$2 out=tmp/in-$1-$2 verdict=none
	mkdir "$out"
	gate process --sender "$3" --rcpt "$4" --out "$out" <"made/$id.$peer.eml" >"$out/json" || return 1
	[[ "$5" = *encrypt=* ]] && ! grep -q '"opened":true' "$out/json" && return 1
	if [[ "$5" = *clear=* || "$5" = *opaque=* ]]; then
		verdict=$(tr -d '\r\n' <"$out/1.eml" | grep -o 'Authentication-Results:[^:]*smime=[a-z]*' | sed 's/.*=//')
		[ "$verdict" = pass ] || return 1
	fi
	"$parts" has "$out/1.eml" text && return
	# An opaque signature stays where it is.
	[ "$("$parts" split "$out/1.eml" "$out")" = opaque ] && openssl cms -verify -noverify -inform DER -in "$out/cms" -out "$out/text" \
		2>/dev/null && "$parts" has "$out/text" text
}

read_theirs() {
	local id title mark sender rcpts layers person steps peer from
	while IFS=';' read -r id title mark sender rcpts layers person steps; do
		for peer in $columns; do
			[ -s "made/$id.$peer.eml" ] || continue
			from=$(from_of "$steps")
			if open_theirs "$id" "$peer" "$from" "$person@$org" "$steps"; then
				echo "$id $peer yes"
			else
				echo "$id $peer no"
			fi
		done
	done
}

# passes FILE [ANCHOR]: does `sealgate verify` believe it?
passes() {
	"$builddir/sealgate" verify --anchor "people/${2:-ca}.pem" <"$1" >verdict 2>&1
}

# our_fate ID PEER: the peer's own mail, spoilt in the same way; we are to say no
our_fate() {
	local made=made/r2048.$2.eml out=tmp/fate-$1-$2
	case "$1" in
	text)
		[ -s "$made" ] || return 2
		passes "$made" || fail "$2: its own mail is not believed"
		"$parts" change "$made" text >"tmp/$2.eml" && ! passes "tmp/$2.eml"
		;;
	sig)
		[ -s "made/opaque.$2.eml" ] || return 2
		passes "made/opaque.$2.eml" || fail "$2: its own opaque mail is not believed"
		"$parts" change "made/opaque.$2.eml" cms >"tmp/$2.eml" && ! passes "tmp/$2.eml"
		;;
	ca)
		[ -s "$made" ] || return 2
		! passes "$made" other
		;;
	expired)
		[ -s "$made" ] || return 2
		! "$builddir/sealgate" verify --anchor people/ca.pem --at 2040-01-01T00:00:00Z <"$made" >verdict 2>&1
		;;
	gcm | key)
		made=made/e256.$2.eml
		[ "$1" = key ] || made=made/g256.$2.eml
		[ -s "$made" ] || made=made/e128.$2.eml
		[ "$1" = key ] || [[ "$made" = *g256* ]] || return 2
		[ -s "$made" ] || return 2
		cp "$made" "tmp/$2.eml"
		[ "$1" = key ] || "$parts" change "$made" cms >"tmp/$2.eml"
		mkdir "$out"
		[ "$1" = key ] && set -- "$1" "$2" "p256@$org" || set -- "$1" "$2" "rsa2048@$org"
		gate process --sender "rsa2048@$partner" --rcpt "$3" --out "$out" <"tmp/$2.eml" >"$out/json"
		! "$parts" has "$out/1.eml" text
		;;
	esac
}

# --- the tables

# cell TABLE ID PEER
reads() {
	local ours=- theirs=-
	ours=$(sed -n "s/^read-$1 //p" "answer/$2" | tail -n 1)
	theirs=$(sed -n "s/^$1 $2 //p" answer/theirs)
	echo "${ours:--}/${theirs:--}"
}

tables() {
	local id rest title peer line ours
	line="| reads ours/we read theirs |"
	for peer in $present; do
		line="$line ${name[$peer]} |"
	done
	echo "$line"
	echo "$line" | sed 's/[^|]\{1,\}/---/g'
	line="| version |"
	for peer in $present; do
		line="$line ${version[$peer]} |"
	done
	echo "$line"
	while IFS=';' read -r id title rest; do
		line="| $title |"
		for peer in $present; do
			line="$line $(reads "$id" "$peer") |"
		done
		echo "$line"
	done < <(rows)
	while IFS=';' read -r id title rest; do
		line="| $title |"
		for peer in $present; do
			# Who cannot read it at all shows nothing by failing.
			ours=-
			grep -q "^read-${rest##*;} yes" "answer/$peer" && ours=$(sed -n "s/^fate-$id //p" "answer/$peer" | tail -n 1)
			line="$line $ours/$(sed -n "s/^$id $peer //p" answer/our-fates) |"
		done
		echo "$line"
	done < <(fates)
}

# compare: the guide against the run, column by column
compare() {
	sed -n '/<!-- interop: begin -->/,/<!-- interop: end -->/p' "$guide" | grep '^|' >guide.table
	[ -s guide.table ] || { fail "no table in $guide"; return; }
	awk -F ' *[|] *' '
	NR == FNR {
		if (FNR == 1)
			for (i = 3; i < NF; i++)
				peer[i] = $i
		for (i = 3; i < NF; i++)
			guide[$2, peer[i]] = $i
		next
	}
	FNR == 1 {
		for (i = 3; i < NF; i++)
			peer[i] = $i
		next
	}
	$2 == "version" {
		for (i = 3; i < NF; i++) {
			same[i] = guide[$2, peer[i]] == $i && guide[$2, "OpenSSL"] == $3
			if (!same[i])
				print "note: the guide speaks of another version of " peer[i] " or OpenSSL: only what fails now and did not then counts"
		}
		next
	}
	$2 ~ /^-+$/ { next }
	{
		for (i = 3; i < NF; i++) {
			split(guide[$2, peer[i]], was, "/")
			split($i, is, "/")
			worse = (was[1] == "yes" && is[1] != "yes") || (was[2] == "yes" && is[2] != "yes") || $i ~ /believed/
			if (worse || (same[i] && guide[$2, peer[i]] != $i)) {
				print "DIFFERS " $2 ", " peer[i] ": " $i ", the guide says " guide[$2, peer[i]]
				bad = 1
			}
		}
	}
	END { exit bad }' guide.table table || failures=$((failures + 1))
}

for peer in openssl bc nss gpgsm mutt; do
	. "$srcdir/tests/interop/peers/$peer.sh"
done
make_people
make_world
make_ours
make_fates
declare -A version name
present=
IFS='|' read -r -a titles <<<"$names"
n=0
for peer in $columns; do
	name[$peer]=${titles[$n]}
	n=$((n + 1))
	if "${peer}_up" >up.out 2>"$work/$peer-up.log" && [ -s up.out ]; then
		version[$peer]=$(cat up.out)
		present="$present $peer"
	else
		echo "note: ${name[$peer]} is not here, left out"
	fi
done
GNUPGHOME=$work/gnupg
export GNUPGHOME
running=
for peer in $present; do
	case $peer in
	bc) bc_peer & ;;
	*) shell_peer $peer & ;;
	esac
	running="$running $!"
done
# shellcheck disable=SC2086
wait $running
[[ " $present " != *" gpgsm "* ]] || gpgsm_down
rows | split -n "r/2" - part.
read_theirs <part.aa >theirs.aa &
running=$!
read_theirs <part.ab >theirs.ab
wait $running
cat theirs.aa theirs.ab >answer/theirs
check_words
while IFS=';' read -r id rest; do
	for peer in $present; do
		our_fate "$id" "$peer"
		case $? in
		0) echo "$id $peer fails" ;;
		2) echo "$id $peer -" ;;
		*) echo "$id $peer believed" ;;
		esac
	done
done < <(fates) >answer/our-fates
tables >table
if [ "${1-}" = --table ]; then
	cat table
	finish
fi
sed 's/^/note: /; /---/d' table
grep -q believed table && fail "something was believed that should fail"
compare
finish
