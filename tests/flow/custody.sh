#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The manual's chapter on custody, sealgate-custody(7): every block of commands on it is run, in its order, as it stands there.
# Only this differs: /srv and /media lie in a private folder, what a reader fills in is filled in, what a person types
# (passphrases, yes, the master key from paper) is given, and "systemctl start" starts the vault without systemd.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/world.sh"
page=$srcdir/doc/sealgate-custody.7
command -v cc >/dev/null || skip "no compiler"
cc -O1 -D_GNU_SOURCE -fPIC -shared -Wall -Werror -o "$work/pastclock.so" "$srcdir/tests/flow/pastclock.c" -ldl || fail "cc"
mkdir -p "$work/srv" "$work/bin" "$work/admin" "$work"/media/{anna,ben,carl,dora,root,auditor,backup}
dir=$work/srv/sealgate
conf=$dir/sealgate.conf
printf 'correct horse\n' >"$work/pin"
chmod 600 "$work/pin"

vault_end() {
	[ ! -s "$work/vault.pid" ] || kill -9 "$(cat "$work/vault.pid")" 2>/dev/null
	cleanup
}
trap vault_end EXIT

# --- the programs, with what a person adds
cat >"$work/bin/sealgate" <<-E
	#!/bin/bash
	work=$work conf=$conf real=$builddir/sealgate
E
cat >>"$work/bin/sealgate" <<'E'
args=()
for arg; do
	case "$arg" in
	CONF) arg=$conf ;;
	REQUEST) arg=$(cat "$work/request") ;;
	KEY) arg=$("$real" -c "$conf" key list chris@example.org | cut -d' ' -f1) ;;
	OLDKEY) arg=$("$real" -c "$conf" key list alice@example.org | grep -v " active " | cut -d' ' -f1) ;;
	MONTH) arg=$(date -u -d '40 days ago' +%Y-%m) ;;
	DATE) arg=$(date -u -d '2 days ago' +%F) ;;
	esac
	args+=("$arg")
done
case " ${args[*]} " in
*" officer approve"*" --key "* | *" officer sign"*) args+=(--password "$work/pin" --yes) ;;
*" vault restore "*) args=("${args[@]:0:2}" --password "$work/pin" "${args[@]:2}") ;;
esac
if [ -n "$CLOCK_BACK" ]; then
	LD_PRELOAD=$work/pastclock.so ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 "$real" "${args[@]}" >"$work/said"
else
	"$real" "${args[@]}" >"$work/said"
fi
status=$?
cat "$work/said"
asked=$(tr -d '\r' <"$work/said" | sed -n 's/^request: //p')
[ -z "$asked" ] || echo "$asked" >"$work/request"
if [ "${args[0]}" = init ]; then
	sed -i "s/user = \"sealgate[a-z-]*\"/user = \"$(id -un)\"/" "$conf"
	chown -R "$(id -un)" "${conf%/*}"
fi
exit $status
E
cat >"$work/bin/sealgate-vault" <<-E
	#!/bin/sh
	exec $builddir/sealgate-vault "\$@"
E
cat >"$work/bin/systemctl" <<-E
	#!/bin/bash
	[ "\$*" = "start sealgate-vault" ] || exit 64
	setsid $builddir/sealgate-vault -c $conf -f >>$work/vault.log 2>&1 &
	echo \$! >$work/vault.pid
	for i in {1..100}; do
		[ -S $dir/run/admin.sock ] && exit 0
		sleep 0.1
	done
	exit 1
E
# openssl asks for the passphrase of an encrypted key.
cat >"$work/bin/openssl" <<-E
	#!/bin/bash
	PATH=${PATH}
	case " \$* " in
	*" req -x509 "*) set -- "\$@" -passout file:$work/pin ;;
	*" x509 -req "*) set -- "\$@" -passin file:$work/pin ;;
	esac
	exec openssl "\$@"
E
chmod 755 "$work"/bin/*

# --- the blocks: NUMBER.sh, and what is said of them in NUMBER.about
mkdir "$work/blocks"
awk -v out="$work/blocks" '
	/^\.\\" @/ { sub(/^\.\\" @/, ""); about = about $0 "\n"; next }
	/^\.Bd -literal/ { n++; file = sprintf("%s/%03d", out, n); printf "line %d\n%s", NR, about >(file ".about"); about = ""; on = 1; next }
	/^\.Ed/ { on = 0; next }
	on { gsub(/\\e/, "\\"); print >(file ".sh") }' "$page"
blocks=$(find "$work/blocks" -name '*.sh' | wc -l)
[ "$blocks" -ge 20 ] || fail "only $blocks blocks of commands"
want "blocks that end" "$(grep -c '^\.Bd' "$page")" "$(grep -c '^\.Ed' "$page")"

# A mail to Alice, made when she has a certificate.
message() {
	gate key export --cert alice@example.org >"$work/alice.pem" || fail "alice's certificate"
	{
		printf 'From: carol@partner.example\nTo: alice@example.org\nSubject: figures\n'
		printf 'Content-Type: text/plain\n\nThe figures of the third quarter\n' |
			openssl cms -encrypt -aes-256-cbc "$work/alice.pem" 2>/dev/null
	} >"$work/admin/message.eml"
}

cd "$work/admin" || exit 70
back=
for block in "$work"/blocks/*.sh; do
	about=${block%.sh}.about
	expected=0
	line=$(sed -n 's/^line //p' "$about")
	while read -r word rest; do
		case "$word" in
		back) back=$((rest * 86400)) ;;
		now) back= ;;
		status) expected=$rest ;;
		line | want) ;;
		*) fail "line $line: nobody knows @$word" ;;
		esac
	done <"$about"
	grep -q 'message\.eml' "$block" && [ ! -e message.eml ] && message
	typed=/dev/null
	[ ! -e "$dir/vault/master.key" ] || typed=$dir/vault/master.key
	sed -i "s#/srv/#$work/srv/#g; s#/media/#$work/media/#g" "$block"
	cp "$typed" "$work/typed"
	CLOCK_BACK=$back PATH=$work/bin:$PATH bash -e -o pipefail "$block" <"$work/typed" >"${block%.sh}.out" 2>&1
	status=$?
	rm -f "$work/typed"
	[ "$status" = "$expected" ] || {
		fail "$page, block at line $line: status $status"
		tail -n 15 "${block%.sh}.out"
		break
	}
	sed -n 's/^want //p' "$about" | while read -r text; do
		grep -qF -- "$text" "${block%.sh}.out" || { echo "$text"; break; }
	done >"$work/lacks"
	[ ! -s "$work/lacks" ] || {
		fail "$page, block at line $line: no \"$(cat "$work/lacks")\" in what it says"
		cat "${block%.sh}.out"
	}
done

# --- commands in the text exist
grep -oE '^\.Ql (person|officer|audit|key|vault|ca) [a-z]+' "$page" | sort -u | cut -d' ' -f2- >"$work/named"
[ -s "$work/named" ] || fail "no commands in the text"
while read -r noun verb; do
	"$builddir/sealgate" "$noun" "$verb" --help >/dev/null 2>&1 || fail "there is no \"sealgate $noun $verb\""
done <"$work/named"

# --- those of the templates are those of the chapter
sed -nE 's/^ +((sealgate|openssl) .*)/\1/p' "$srcdir"/contrib/custody/*/*.md | sort -u >"$work/commands"
[ -s "$work/commands" ] || fail "no commands in the templates"
cat "$work"/blocks/*.sh | sed "s#$work##g" | sed -e ':a' -e '/\\$/N; s/ *\\\n */ /; ta' | sed 's/  */ /g' >"$work/chapter"
while read -r command; do
	grep -qxF -- "$command" "$work/chapter" || fail "not in the chapter: $command"
done <"$work/commands"
finish
