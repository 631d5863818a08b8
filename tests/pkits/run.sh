#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NIST PKITS by `sealgate verify`: 224 signed mails in three modes, and 247 sub-tests with policy options.
#
#   tests/pkits/run.sh [-v]      -v: a line for each answer, not only for those that differ
#
#   own store    certificates and CRLs that the mail's CMS carries, taken out of it and given with --cert and --crl
#   CRL folder   certificates from the mail, all CRLs from one folder
#   slapd        certificates and CRLs from a real slapd with NIST's LDIF, asked for by name as the path needs them;
#                the mail's CMS has neither (a signer without a name stands in no directory: that certificate is given)
#   inside       only the CRLs in the CMS, which nobody gave to us: none may be believed, so that no mail passes
#   cert check   the signer's certificate alone
#   options      as the own store, with initial policies, required policy, inhibited mapping and anyPolicy
#
# SEALGATE is the program (default: sealgate in SEALGATE_BUILD or here), SEALGATE_CORPORA the folder of other people's test
# data; without it Debian's python3-cryptography-vectors will do (no sub-tests, verdicts by NIST's names). A mail is "valid"
# when signature and path are good and nothing on the path is revoked or unknown; From: is another question (no certificate
# there has that address). Exit status: 0 all agree, 1 some do not, 77 no data or no program.
. "${srcdir:-$(dirname "$0")/../..}/tests/flow/lib.sh"
export SEALGATE_SRC="$srcdir"
. "$srcdir/tests/lib/servers.sh"

debian=/usr/lib/python3/dist-packages/cryptography_vectors/x509/PKITS_data
data=${SEALGATE_CORPORA:-$srcdir/../shared/corpora}/pkits
tool=$(realpath -m "${SEALGATE:-$builddir/sealgate}")
[ -d "$data/smime" ] || data=$debian
[ -d "$data/smime" ] && [ -x "$tool" ] || skip "no PKITS data (nor python3-cryptography-vectors), or no $tool"
for program in slapd slapadd ldapsearch perl; do
	command -v $program >/dev/null || skip "$program is not installed (contrib/deps test)"
done
verbose=${1-}
data=$(realpath "$data")
mkdir "$work/pkits" && cd "$work/pkits" && ln -s "$data" data && mkdir none || exit 1
anchor="--anchor data/certs/TrustAnchorRootCertificate.crt"

# expected: section, test, mail and NIST's verdict, one a line
expected() {
	if [ -r data/expected-default.tsv ]; then
		awk -F '\t' 'NR > 1 { split($1, n, "."); print n[1] "." n[2] "\t" $1 "\t" $2 "\t" $3 }' data/expected-default.tsv
		return
	fi
	# What the names leave open: with any policy acceptable, those four have no path without a policy that fails.
	for mail in data/smime/*.eml; do
		mail=${mail##*/}
		case "$mail" in
		SignedValidDSAParameterInheritanceTest5.eml | SignedValidcRLIssuerTest30.eml) want=EITHER ;;
		SignedInvalid* | SignedMissingCRLTest1.eml) want=INVALID ;;
		SignedDifferentPoliciesTest3.eml) want=VALID ;;
		SignedDifferentPoliciesTest*.eml) want=INVALID ;;
		*) want=VALID ;;
		esac
		printf 'all\t%s\t%s\t%s\n' "${mail%.eml}" "$mail" "$want"
	done
}

# options: the same for the sub-tests, and the options. OpenSSL's words, as ours; -policy anyPolicy is the default.
options() {
	[ ! -r data/expected-openssl.tsv ] || awk -F '\t' 'NR > 1 {
		gsub(/-policy anyPolicy ?/, "", $4)
		gsub(/-policy /, "--policy ", $4)
		sub(/-explicit_policy/, "--require-policy", $4)
		sub(/-inhibit_any/, "--inhibit-any", $4)
		sub(/-inhibit_map/, "--inhibit-mapping", $4)
		split($1, n, ".")
		print n[1] "." n[2] "\t" $1 "\t" $3 "\t" ($1 == "4.1.5" || $1 == "4.14.30" ? "EITHER" : $9) "\t" $4
	}' data/expected-openssl.tsv
}

# jobs: mode, section, test, verdict, mail, arguments
jobs() {
	local section test mail want more name tab=$'\t'
	while IFS=$tab read -r section test mail want; do
		name=${mail%.eml}
		echo "own store$tab$section$tab$test$tab$want${tab}bare/$mail$tab--cert own/$name.pem --crl own/$name.pem"
		echo "CRL folder$tab$section$tab$test$tab$want${tab}data/smime/$mail$tab--crl data/crls"
		more=
		while read -r dir; do
			more="$more --cert $dir --crl $dir"
		done <"places/$name"
		echo "slapd$tab$section$tab$test$tab$want${tab}bare/$mail$tab$more"
		echo "inside$tab$section$tab$test${tab}INVALID${tab}data/smime/$mail$tab--crl none"
	done <expected
	while IFS=$tab read -r section test mail want more; do
		name=${mail%.eml}
		echo "options$tab$section$tab$test$tab$want${tab}bare/$mail$tab--cert own/$name.pem --crl own/$name.pem $more"
	done <options
}

# answer: runs the jobs on standard input; adds exit status and what was said to each
answer() {
	local mode section test want mail args out status
	while IFS=$'\t' read -r mode section test want mail args; do
		# shellcheck disable=SC2086 # words
		out=$("$tool" verify $anchor $args <"$mail" 2>&1)
		status=$?
		printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$mode" "$section" "$test" "$want" "$mail" "$args" "$status" "$out"
	done
}

# cert_check: the same from `cert check`, which takes all certificates at once
cert_check() {
	local names=() section test mail want out
	while IFS=$'\t' read -r section test mail want; do
		names+=("own/${mail%.eml}.crt")
	done <expected
	"$tool" cert check $anchor --cert data/certs --crl data/crls --purpose sign "${names[@]}" >checked 2>checked.err
	[ "$(wc -l <checked)" = ${#names[@]} ] || { fail "cert check: $(wc -l <checked) answers"; cat checked.err; }
	paste expected checked | awk -F '\t' '{ print "cert check\t" $1 "\t" $2 "\t" $4 "\t" $3 "\t\t0\t" $5 }'
}

# judge: a table from all answers; what differs, before it
judge() {
	awk -F '\t' -v verbose="$verbose" '
	function word(name) {
		return match($8, "\"" name "\":\"[^\"]*") ? substr($8, RSTART + length(name) + 4, RLENGTH - length(name) - 4) : "-"
	}
	function row(title, section,    i, text) {
		text = sprintf("note: %-28s", title)
		for (i = 1; i <= n; i++)
			text = text sprintf("  %10s", all[section, mode[i]] ? same[section, mode[i]] + 0 " of " all[section, mode[i]] : "-")
		print text
	}
	BEGIN {
		n = split("own store|CRL folder|slapd|inside|cert check|options", mode, "|")
		titles = "signatures|validity|names|basic revocation|self-issued|basic constraints|key usage|policies|" \
			"require explicit policy|policy mapping|inhibit mapping|inhibit anyPolicy|name constraints|" \
			"distribution points|delta CRLs|private extensions"
		sections = split(titles, title, "|")
	}
	{
		signature = $1 == "cert check" ? "good" : word("signature") # nothing is signed there
		got = signature " " word("path") " " word("revocation") == "good valid good" ? "VALID" : "INVALID"
		if (($7 != 0 && $7 != 65) || word("path") == "-")
			got = "status " $7
		else if ($1 == "inside" && word("revocation") ~ /^(good|revoked)$/)
			got = "BELIEVED"
		if ($4 == "EITHER" && got ~ /VALID/) {
			if (open[$3] !~ got)
				open[$3] = open[$3] " " got " (signature " word("signature") ", path " word("path") ", revocation " \
					word("revocation") ")"
			next
		}
		all[$2, $1]++
		all["", $1]++
		if (got == $4) {
			same[$2, $1]++
			same["", $1]++
			if (verbose)
				print "ok      " $1 ": " $3 " " got " " word("reason")
			next
		}
		bad = 1
		print "DIFFERS " $1 ": " $3 " " $5 " " $6 ": want " $4 ", got " got "\n        " $8
	}
	END {
		print "note: PKITS, answers as NIST wants them"
		text = sprintf("note: %-28s", "section")
		for (i = 1; i <= n; i++)
			text = text sprintf("  %10s", mode[i])
		print text
		for (i = 1; i <= sections; i++) {
			if (all["4." i, "own store"])
				row("4." i " " title[i], "4." i)
		}
		row("together", "")
		for (test in open)
			print "note: left open: " test ", answered" open[test]
		exit bad
	}' "$@"
}

# The directory: NIST wrote its LDIF for /tmp, and a schema that slapd 2.5 does not read; what it adds is little.
servers=$work/servers
mkdir -p "$servers/slapd/db" && : >"$servers/stop"
SERVERS=$servers
cat >"$servers/pkits.schema" <<-E
	objectclass ( 1.2.840.113533.7.67.14 NAME 'entrustDNQualifierUser' SUP top AUXILIARY MAY dnQualifier )
	objectclass ( 1.2.840.113533.7.67.15 NAME 'entrustNamedObject' SUP top AUXILIARY MAY generationQualifier )
	objectclass ( 1.2.840.113549.1.9.24.2 NAME 'naturalPerson' SUP top AUXILIARY MAY pseudonym )
	objectclass ( 1.3.6.1.4.1.18227.2.1.2 NAME 'opencaEmailAddress' SUP top AUXILIARY MAY ( mail \$ emailAddress ) )
	E
sed "s|file:///tmp/|file://$work/pkits/data/|" data/pkits.ldif >"$servers/pkits.ldif"
SLAPD_GLOBAL="include $servers/pkits.schema"
slapd_conf "$servers/slapd" "O=Test Certificates 2011,C=US"
slapadd -q -s -f "$servers/slapd/slapd.conf" -l "$servers/pkits.ldif" >slapadd.log 2>&1 || fail "slapadd: $(tail -n 3 slapadd.log)"
slapd_up "$servers/slapd" "O=Test Certificates 2011,C=US" || fail slapd
pids="$pids $(cat "$servers/slapd/slapd.pid")"
"$srcdir/tests/pkits/take-apart" . "$(cat "$servers/slapd/uri")" data/smime/*.eml 2>take-apart.log ||
	fail "take-apart: $(grep -v -e '^No such object' -e '^Matched DN' take-apart.log | tail -n 3)"
slapd_down "$servers/slapd"

expected >expected
options >options
[ "$(wc -l <expected)" = "$(ls data/smime/*.eml | wc -l)" ] || fail "not every mail has a verdict"
jobs >jobs
parts=$(nproc)
split -n "r/$parts" jobs part.
answering=
for part in part.*; do
	answer <"$part" >"answers.$part" &
	answering="$answering $!"
done
cert_check >answers.check
# shellcheck disable=SC2086
wait $answering
[ "$(cat answers.part.* | wc -l)" = "$(wc -l <jobs)" ] || fail "not every job was answered"
sort -V answers.* >answers
judge answers || failures=$((failures + 1))
echo "note: 4.1.5: a DSA key without parameters, which RFC 5280 inherits from the issuer's and OpenSSL does not: a signature"
echo "note:        that cannot be checked is not valid. 4.14.30: the certificate of a list's signer is covered by that same list;"
echo "note:        NIST calls it valid and lets a verifier refuse the circle."
finish
