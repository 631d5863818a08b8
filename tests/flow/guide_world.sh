# SPDX-License-Identifier: BSD-2-Clause
# Sourced by guide.sh: the world of the ten difficult cases of doc/guide.md. The guide calls these functions from comments
# ("world: NAME ARGUMENT…"); everything lies in $dir, the folder of sealgate.conf, where the guide's commands run.

mailbox_of() {
	echo "$1@$partner"
}

# ca NAME SUBJECT [ISSUER EXTENSION…]: a CA, self-signed without an issuer, that can issue and revoke
ca() {
	local name=$1 subject=$2 issuer=${3:-}
	mkdir -p "$work/$name" && cd "$work/$name" || return 1
	openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null ||
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key 2>/dev/null
	: >index
	echo 01 >crlnumber
	printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\ncrlnumber=%s/crlnumber\nrand_serial=yes\nunique_subject=no\ndefault_md=sha256\ndefault_days=300\ndefault_crl_days=7\nnew_certs_dir=%s\npolicy=p\ncertificate=%s\nprivate_key=%s/key\n[p]\norganizationName=optional\ncommonName=supplied\nemailAddress=optional\n' \
		"$PWD" "$PWD" "$PWD" "$dir/$name.pem" "$PWD" >cnf
	if [ -z "$issuer" ]; then
		openssl req -x509 -new -key key -days 3000 -subj "$subject" -addext keyUsage=critical,keyCertSign,cRLSign \
			-out "$dir/$name.pem" 2>>"$work/openssl.log"
	else
		shift 3
		openssl req -new -key key -subj "$subject" -out csr 2>/dev/null
		printf '%s\n' basicConstraints=critical,CA:TRUE keyUsage=critical,keyCertSign,cRLSign "$@" >ext
		openssl ca -batch -notext -config "$work/$issuer/cnf" -days 2000 -extfile ext -in csr -out "$dir/$name.pem" 2>>"$work/openssl.log"
	fi || fail "ca $name"
	cd "$dir" || return 1
}

# person CA FILE "SUBJECT" "NAMES" USAGE [OPTION of openssl ca…]: FILE.pem and FILE.key; NAMES as in subjectAltName, empty: none
person() {
	local ca=$1 file=$2 subject=$3 names=$4 usage=$5
	shift 5
	[ -f "$work/$file.key" ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$file.key" 2>/dev/null
	openssl req -new -key "$work/$file.key" -subj "$subject" -out "$work/$file.csr" -utf8 2>>"$work/openssl.log"
	printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,%s\nextendedKeyUsage=emailProtection\n%s\n%s\n' \
		"$usage" "${names:+subjectAltName=$names}" "${more_extensions:-}" >"$work/$file.ext"
	openssl ca -batch -notext -utf8 -config "$work/$ca/cnf" -extfile "$work/$file.ext" -in "$work/$file.csr" -out "$dir/$file.pem" "$@" \
		2>>"$work/openssl.log" || fail "person $file"
}

both=digitalSignature,keyAgreement

# days_from_now N: as openssl ca has it
days_from_now() {
	date -u -d "$1" +%Y%m%d%H%M%SZ
}

# list FILE [OPTION of openssl ca…]: the partner CA's revocation list
list() {
	local out=$1
	shift
	openssl ca -config "$work/partner-ca/cnf" -gencrl -out "$work/list.pem" "$@" 2>>"$work/openssl.log" &&
		openssl crl -in "$work/list.pem" -outform DER -out "$out.new" && mv "$out.new" "$out" || fail "list $out"
}

# lists FRESH|EXPIRED|NONE: what lies in crls
lists() {
	rm -f "$dir"/crls/partner*.crl
	case "$1" in
	fresh) list "$dir/crls/partner.crl" ;;
	expired) list "$dir/crls/partner.crl" -crl_lastupdate "$(days_from_now '5 days ago')" -crl_nextupdate "$(days_from_now '2 hours ago')" ;;
	esac
}

# signed_mail FILE PERSON FROM: a signed message in FILE.eml
signed_mail() {
	printf 'Content-Type: text/plain\n\nThe figures are below.\n' >"$work/text"
	{
		printf 'From: %s\nTo: alice@%s\nSubject: Figures\nMessage-ID: <%s.%s@%s>\nDate: %s\n' "$3" "$org" "$1" "$(date +%s%N)" "$partner" "$(date -R)"
		openssl cms -sign -in "$work/text" -signer "$dir/$2.pem" -inkey "$work/$2.key" 2>>"$work/openssl.log" | tr -d '\r'
	} >"$dir/$1.eml"
}

# conf TEXT: sealgate.conf as init made it, each section of TEXT in the place of init's
conf() {
	local name
	cp "$work/base.conf" "$work/new.conf"
	for name in $(sed -n 's/^\([a-z_]*\) *=.*/\1/p' "$1"); do
		sed -i "/^$name = /d" "$work/new.conf"
	done
	sed "s|ldaps*://ldap.partner.example|$(cat "$SERVERS/slapd/uri")|" "$1" >>"$work/new.conf"
	mv "$work/new.conf" "$conf"
	gate check >/dev/null || fail "the guide's configuration: $(cat "$1")"
}

# knows OPTION… FILE: into the local store
knows() {
	gate cert add "$@" >/dev/null || fail "cert add $*"
}


milter_start() {
	: >"$dir/mail.log"
	"$builddir/sealgate-milter" -c "$conf" -f >>"$dir/mail.log" 2>&1 &
	milter=$!
	pids="$pids $milter"
	wait_for 10 drive --probe -S "$sock" || fail "the milter did not start"
}

milter_stop() {
	stop "$milter"
}

# sends QID ADDRESS: alice writes to ADDRESS, through the milter
sends() {
	drive -q -S "$sock" -u "alice@$org" -f "<alice@$org>" -r "<$2>" --qid "$1" "$dir/mail.eml" >/dev/null ||
		fail "$1: not accepted"
}

# receives QID FILE ADDRESS: what FILE.eml has, with what our MTA says of its DKIM signature
receives() {
	{
		printf 'Authentication-Results: mx.%s;\n\tdkim=pass (2048-bit key) header.d=%s header.s=k1 header.b=QWERTY\n' "$org" "$partner"
		printf 'Received: from border (border [192.0.2.1])\n\tby inside (Postfix) with ESMTP id 1; %s\n' "$(date -R)"
		printf 'DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=k1;\n\th=from:to; bh=x=; b=QWERTYUIOP\n' "$partner"
		cat "$dir/$2.eml"
	} >"$work/in.eml"
	drive -q -S "$sock" -f "<$3>" -r "<alice@$org>" --qid "$1" "$work/in.eml" >/dev/null || fail "$1: not accepted"
	wait_for 10 grep -q "qid=$1 event=harvest" "$dir/mail.log" || fail "$1: nothing in the log of harvest"
}

directory_stops() {
	sleep 1.1 # positive_ttl of the guide's configuration
	slapd_down "$SERVERS/slapd"
}

directory_starts() {
	slapd_start "$SERVERS/slapd" || fail "slapd does not start again"
}

# begin: what all cases have
begin() {
	made_gate alice
	cd "$dir" || exit 70
	sed -e '/^anchors = (/,/^);/d' -e '/^trust = /d' -e '/^harvest = /d' "$conf" >"$work/base.conf"
	cat >>"$work/base.conf" <<-E2
	anchors = ( { file = "ca.pem"; domains = "$org"; }, { file = "partner-ca.pem"; domains = "$partner"; } );
	trust = { crl_dir = "crls"; };
	E2
	mkdir -p crls
	printf 'From: alice@%s\nTo: somebody@%s\nSubject: Figures\nMessage-ID: <1@%s>\nDate: %s\n\nSee below.\n' \
		"$org" "$partner" "$org" "$(date -R)" >mail.eml
	ca partner-ca "/O=Partner/CN=Partner CA"
	: >none
	{
		ldif_suffix dc=partner,dc=example
		person partner-ca dave-new /CN=Dave "email:$(mailbox_of dave)" $both
		ldif_person "cn=Dave,dc=partner,dc=example" "$(mailbox_of dave)" 'userCertificate;binary' <(openssl x509 -in dave-new.pem -outform DER)
		person partner-ca judy /CN=Judy "email:$(mailbox_of judy)" $both
		ldif_person "cn=Judy,dc=partner,dc=example" "$(mailbox_of judy)" 'userCertificate;binary' <(openssl x509 -in judy.pem -outform DER)
	} >"$work/people.ldif"
	slapd_up "$SERVERS/slapd" dc=partner,dc=example "$work/people.ldif" >>"$work/slapd.log" 2>&1 || skip "slapd does not start"
	conf none
	lists fresh
	vault_up
}

# --- what is special in each case

case_two_certificates() {
	person partner-ca carol-sign "/CN=Carol" "email:$(mailbox_of carol)" digitalSignature,nonRepudiation
	person partner-ca carol-encrypt "/CN=Carol" "email:$(mailbox_of carol)" keyAgreement
	signed_mail carol carol-sign "$(mailbox_of carol)"
}

case_expired() {
	person partner-ca dave-old "/CN=Dave" "email:$(mailbox_of dave)" $both -startdate "$(days_from_now '300 days ago')" -enddate "$(days_from_now '1 day ago')"
	knows --why "handed over" dave-old.pem
}

# pins FILE: its certificate
pins() {
	gate cert pin --force "$(openssl x509 -in "$1.pem" -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1)" >/dev/null || fail "cert pin $1"
}

case_intermediate() {
	ca issuing-ca "/O=Partner/CN=Partner Issuing CA 2" partner-ca
	more_extensions=authorityInfoAccess=caIssuers\;URI:http://pki.partner.example/issuing-ca-2.cer \
		person issuing-ca erin /CN=Erin "email:$(mailbox_of erin)" $both
	signed_mail erin erin "$(mailbox_of erin)"
}

# answer PERSON FILE: an OCSP answer
answer() {
	openssl ocsp -index "$work/partner-ca/index" -CA partner-ca.pem -rsigner partner-ca.pem -rkey "$work/partner-ca/key" -issuer partner-ca.pem \
		-cert "$1.pem" -respout "$2" -ndays 1 >/dev/null 2>>"$work/openssl.log" || fail "openssl ocsp"
}

case_revoked() {
	conf none
	person partner-ca frank /CN=Frank "email:$(mailbox_of frank)" $both
	knows --why "by phone" frank.pem
	lists fresh
	answer frank frank-before.ocsp
	openssl ca -config "$work/partner-ca/cnf" -revoke frank.pem -crl_reason keyCompromise 2>>"$work/openssl.log" || fail "revoke"
	answer frank frank.ocsp
	signed_mail frank frank "$(mailbox_of frank)"
}

case_unknown() {
	person partner-ca heidi /CN=Heidi "email:$(mailbox_of heidi)" $both
	knows --why "by phone" heidi.pem
	signed_mail heidi heidi "$(mailbox_of heidi)"
	lists expired
}

case_scope() {
	lists fresh
	person partner-ca ivan /CN=Ivan "email:ivan@bank.example" $both
	ca sub-ca "/O=Partner/CN=Partner Students CA" partner-ca "nameConstraints=critical,permitted;email:students.partner.example"
	person sub-ca kim /CN=Kim "email:$(mailbox_of kim)" $both
}

case_harvest() {
	lists fresh
	person partner-ca ken /CN=Ken "email:$(mailbox_of ken)" $both
	person partner-ca ken-new /CN=Ken "email:$(mailbox_of ken)" $both
	signed_mail ken ken "$(mailbox_of ken)"
	signed_mail ken-new ken-new "$(mailbox_of ken)"
}

case_gateway() {
	ca clinic-ca "/O=Clinic/CN=Clinic CA"
	person clinic-ca clinic-gateway "/O=Clinic/CN=Mail gateway" "email:domain-confidentiality-authority@clinic.example" keyAgreement
}

case_addresses() {
	lists fresh
	person partner-ca lena /CN=Lena "email:Lena.Meier@$partner" $both
	person partner-ca anna /CN=Anna "email:anna@xn--bcher-kva.example" $both
	person partner-ca old-sha1 /CN=Max "email:$(mailbox_of max)" $both -md sha1
	openssl genrsa -out "$work/short.key" 1024 2>/dev/null
	person partner-ca short /CN=Nora "email:$(mailbox_of nora)" digitalSignature,keyEncipherment
	more_extensions=$'subjectAltName=@n\n[n]\notherName=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:josé@partner.example' \
		person partner-ca jose "/CN=José" "" $both
	knows --why "by phone" lena.pem
}
