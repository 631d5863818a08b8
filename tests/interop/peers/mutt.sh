# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# mutt as a peer, with the S/MIME commands of its own documentation (openssl smime): a whole mail program, at a terminal of its own.

mutt_up() {
	local who n=0
	command -v mutt >/dev/null && command -v script >/dev/null || return 1
	mkdir -p "$work/mutt/keys" "$work/mutt/certs" "$work/mutt/tmp" || return 1
	for who in $partners; do
		cp "people/p-$who.key" "$work/mutt/keys/p-$who.0"
		cp "people/p-$who.pem" "$work/mutt/certs/p-$who.0"
	done
	for who in $staff; do
		cp "people/s-$who.pem" "$work/mutt/certs/s-$who.0"
		echo "$who@$org s-$who.0 staff ? t"
	done >"$work/mutt/certs/.index"
	printf '#!/bin/sh\ncat >"%s/mutt/sent"\n' "$work" >"$work/mutt/sendmail"
	chmod 755 "$work/mutt/sendmail"
	cat >"$work/mutt/rc" <<-E
	set crypt_use_gpgme=no smime_is_default=yes crypt_verify_sig=yes charset=utf-8
	set smime_certificates=$work/mutt/certs smime_keys=$work/mutt/keys smime_ca_location=$PWD/people/ca.pem
	set smime_ask_cert_label=no smime_decrypt_use_default_key=yes
	set smime_sign_command="openssl smime -sign -md %d -signer %c -inkey %k -passin stdin -in %f -certfile $PWD/people/ca.pem -outform DER"
	set smime_encrypt_command="openssl smime -encrypt -%a -outform DER -in %f %c"
	set smime_decrypt_command="openssl smime -decrypt -passin stdin -inform DER -in %f -inkey %k -recip %c"
	set smime_verify_command="openssl smime -verify -inform DER -in %s -CAfile $PWD/people/ca.pem -content %f"
	set smime_verify_opaque_command="openssl smime -verify -inform DER -in %s -CAfile $PWD/people/ca.pem"
	set smime_get_cert_email_command="openssl x509 -in %f -noout -email"
	set smime_get_signer_cert_command="openssl smime -verify -in %f -inform DER -noverify -signer %c -out /dev/null"
	set smime_get_cert_command="openssl pkcs7 -print_certs -in %f"
	set sendmail="$work/mutt/sendmail" use_envelope_from=no use_from=yes use_domain=no hostname=peer.example realname=""
	set copy=no edit_headers=yes autoedit=yes editor=true postpone=no quit=yes delete=no move=no mbox_type=mbox
	set sleep_time=0 wait_key=no prompt_after=no confirmappend=no tmpdir=$work/mutt/tmp header_cache="" pager="cp %s $work/mutt/shown"
	E
	mutt -v </dev/null | sed -n '1s/^Mutt \([^ ]*\).*/\1/p'
}

# mutt_shows PATTERN: on the screen, or there is no mutt any more
mutt_shows() {
	grep -aqE "$1" "$work/mutt/screen" || [ -e "$work/mutt/done" ]
}

# mutt_at_terminal ARGUMENTS… -- PATTERN KEYS…: waits for each pattern on the screen, types the keys, and then for the end
mutt_at_terminal() {
	local args=() screen=$work/mutt/screen
	while [ "$1" != -- ]; do
		args+=("$(printf '%q' "$1")")
		shift
	done
	shift
	rm -f "$work/mutt/done" "$work/mutt/sent" "$work/mutt/shown"
	: >"$screen"
	{
		while [ $# -gt 1 ]; do
			wait_for 10 mutt_shows "$1"
			# shellcheck disable=SC2059 # it is a format
			printf "$2"
			shift 2
		done
		wait_for 10 test -e "$work/mutt/done"
	} | {
		TERM=xterm timeout 10 script -qfec "mutt -n -F '$work/mutt/rc' ${args[*]}" "$screen" >/dev/null 2>&1
		touch "$work/mutt/done"
	}
}

mutt_make() {
	local out=$1 from=$2 to=$3 entity=$4 step kind how more names settings="set" keys=('Approx. msg size' y)
	shift 4
	settings="set crypt_autosign=no crypt_autoencrypt=no"
	for step; do
		IFS== read -r kind how more names <<<"$step"
		case "$kind=$how" in
		clear=sha*)
			case "$more" in *,*) return 1 ;; esac
			settings="$settings crypt_autosign=yes smime_sign_as=$more.0 smime_sign_digest_alg=$how"
			keys+=('assphrase' 'x\r')
			;;
		encrypt=3des | encrypt=aes128 | encrypt=aes256 | encrypt=any)
			[ "$more" = v15 ] || return 1
			[ "$how" != any ] || how=aes256
			[ "$how" != 3des ] || how=des3
			settings="$settings crypt_autoencrypt=yes smime_encrypt_with=$how"
			;;
		*) return 1 ;;
		esac
	done
	[ $# -lt 2 ] || [[ "$1" = clear=* && "$2" = encrypt=* && $# = 2 ]] || return 1
	{
		printf 'From: %s\nTo: %s\nSubject: from mutt\n\n' "$from" "$to"
		tr -d '\r' <"$entity" | sed '1,/^$/d'
	} >"$work/mutt/draft"
	mutt_at_terminal -e "$settings" -H "$work/mutt/draft" -- "${keys[@]}"
	# A failure leaves it in the compose menu: nothing is sent.
	[ -s "$work/mutt/sent" ] && cp "$work/mutt/sent" "$out"
}

mutt_read() {
	local in=$1 who=$2 layers=$3 out=$4 signatures kind keys=()
	kind=$("$parts" split "$in" .) || return 1
	signatures=$layers
	if [ "$kind" = enveloped ]; then
		keys=('assphrase' 'x\r')
		signatures=$((layers - 1))
	fi
	{
		echo "From peer Sun Nov 22 08:00:00 2026"
		tr -d '\r' <"$in"
		echo
	} >"$work/mutt/mbox"
	mutt_at_terminal -e "set smime_default_key=$who.0" -f "$work/mutt/mbox" -e 'push <display-message><exit>' -- "${keys[@]}"
	[ -s "$work/mutt/shown" ] || return 1
	cp "$work/mutt/shown" "$out"
	[ "$(grep -c '^Verification successful' "$out")" = "$signatures" ] && ! grep -qi 'verification failure' "$out"
}
