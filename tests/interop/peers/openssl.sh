# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# OpenSSL's "cms" as a peer: MIME and CMS by itself. See ../peers.sh for what each function has to do.

openssl_up() {
	openssl version | sed 's/^OpenSSL \([^ ]*\).*/\1/'
}

openssl_make() {
	local out=$1 from=$2 to=$3 cur=$4 step kind how more names name args n=0
	shift 4
	for step; do
		IFS== read -r kind how more names <<<"$step"
		n=$((n + 1)) args=()
		if [ "$kind" = encrypt ]; then
			case "$how" in
			3des) args=(-des3) ;;
			aes128) args=(-aes-128-cbc) ;;
			aes256 | any) args=(-aes-256-cbc) ;;
			gcm128) args=(-aes-128-gcm) ;;
			gcm256) args=(-aes-256-gcm) ;;
			esac
			for name in ${names//,/ }; do
				args+=(-recip "people/$name.pem")
				case "$more" in
				v15) args+=(-stream) ;;
				der) args+=(-noindef) ;;
				ski) args+=(-keyid) ;;
				oaep-*) args+=(-keyopt rsa_padding_mode:oaep -keyopt "rsa_oaep_md:${more#oaep-}") ;;
				ecdh-*) args+=(-keyopt "ecdh_kdf_md:${more#ecdh-}") ;;
				esac
			done
			openssl cms -encrypt -in "$cur" "${args[@]}" -out "$out.$n" || return 1
		else
			[ "$kind" = opaque ] && args=(-nodetach)
			case "$how" in
			pss | eddsa | ber) ;;
			ski) args+=(-keyid) ;;
			*) args+=(-md "$how" -noindef) ;;
			esac
			for name in ${more//,/ }; do
				args+=(-signer "people/$name.pem" -inkey "people/$name.key")
				[ "$how" = pss ] && args+=(-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest)
			done
			openssl cms -sign -in "$cur" "${args[@]}" -out "$out.$n" || return 1
		fi
		cur=$out.$n
	done
	{
		printf 'From: %s\nTo: %s\nSubject: from OpenSSL\nDate: %s\nMessage-ID: <%s@openssl.example>\n' "$from" "$to" "$(date -R)" "$RANDOM$RANDOM"
		cat "$cur"
	} >"$out"
}

openssl_read() {
	local cur=$1 who=$2 layers=$3 out=$4 n=0 kind
	while [ $n -lt "$layers" ]; do
		kind=$("$parts" split "$cur" .) || return 1
		n=$((n + 1))
		case "$kind" in
		clear | opaque) openssl cms -verify -in "$cur" -CAfile people/ca.pem -out "$out.$n" || return 1 ;;
		enveloped) openssl cms -decrypt -in "$cur" -recip "people/$who.pem" -inkey "people/$who.key" -out "$out.$n" || return 1 ;;
		*) return 1 ;;
		esac
		cur=$out.$n
	done
	mv "$cur" "$out"
}
