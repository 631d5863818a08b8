#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# NIST PKITS by `sealgate verify`: 224 signed mails with default settings, 247 sub-tests with policy options.
#
#   tests/pkits/run.sh [-v]      -v: a line for each mail, not only for those that differ
#
# SEALGATE is the program (default: sealgate in SEALGATE_BUILD or here), SEALGATE_CORPORA the folder of other people's test data. A mail is
# "valid" when signature and path are good and nothing on the path is revoked or unknown; From: is another question
# (no certificate there has an address). Exit status: 0 all agree, 1 some do not, 77 no corpora or no program.
src=${SEALGATE_SRC:-$(dirname "$0")/../..}
data=${SEALGATE_CORPORA:-$src/../shared/corpora}/pkits
tool=${SEALGATE:-${SEALGATE_BUILD:-.}/sealgate}
[ -r "$data/expected-default.tsv" ] && [ -x "$tool" ] || { echo "skipped: no PKITS data, or no $tool"; exit 77; }
verbose=
[ "$1" = -v ] && verbose=yes
agree=0 differ=0 wrong_valid=0

# word NAME: the value of a member in the JSON line $out
word() {
	printf '%s' "$out" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

# judge TEST MAIL WANT OPTION…
judge() {
	test=$1 mail=$2 want=$3
	shift 3
	out=$("$tool" verify --anchor "$data/certs/TrustAnchorRootCertificate.crt" --cert "$data/certs" \
		--crl "$data/crls" "$@" <"$data/smime/$mail" 2>&1)
	status=$?
	got=INVALID
	[ "$(word signature) $(word path) $(word revocation)" = "good valid good" ] && got=VALID
	case "$status" in
	0 | 65) ;;
	*) got="status $status" ;;
	esac
	if [ "$got" = "$want" ] || { [ "$want" = EITHER ] && [ "$got" != "status $status" ]; }; then
		agree=$((agree + 1))
		[ -z "$verbose" ] || echo "ok      $test $want $* $(word reason)"
		return
	fi
	differ=$((differ + 1))
	[ "$got" = VALID ] && wrong_valid=$((wrong_valid + 1))
	echo "DIFFERS $test $mail $*: want $want, got $got"
	echo "        $out"
}

tab=$(printf '\t')
sed 1d "$data/expected-default.tsv" >"${TMPDIR:-/tmp}/pkits.$$"
while IFS=$tab read -r test mail want _; do
	judge "$test" "$mail" "$want"
done <"${TMPDIR:-/tmp}/pkits.$$"
rm -f "${TMPDIR:-/tmp}/pkits.$$"
echo "PKITS, default settings: $agree agree, $differ differ, $wrong_valid of them wrongly valid"
total=$differ

agree=0 differ=0
# openssl's words for the options, as ours; -policy anyPolicy is the default.
sed 1d "$data/expected-openssl.tsv" | cut -f 1,3,4,9 | sed -e 's/-policy anyPolicy/-/' -e 's/-policy /--policy /g' \
	-e 's/-explicit_policy/--require-policy/' -e 's/-inhibit_any/--inhibit-any/' \
	-e 's/-inhibit_map/--inhibit-mapping/' -e 's/- --/--/' >"${TMPDIR:-/tmp}/pkits.$$"
while IFS=$tab read -r test mail options want; do
	[ "$test" = 4.1.5 ] && want=EITHER # OpenSSL does not inherit DSA parameters; expected-default.tsv says so too
	# shellcheck disable=SC2086 # the options are words
	judge "$test" "$mail" "$want" $([ "$options" = - ] || echo "$options")
done <"${TMPDIR:-/tmp}/pkits.$$"
rm -f "${TMPDIR:-/tmp}/pkits.$$"
echo "PKITS, with policy options: $agree agree, $differ differ, $wrong_valid wrongly valid in all"
[ $((total + differ)) = 0 ]
