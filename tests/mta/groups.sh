#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Groups of a directory as criteria of rules: by the person's attribute and by the groups' entries, groups in groups, in a real slapd and
# as Active Directory answers; and what rules make of a directory that can't be asked.
. "$(dirname "$0")/world.sh"
for need in slapd slapadd perl; do
	PATH=$PATH:/usr/sbin command -v "$need" >/dev/null || skip "$need is not installed"
done
tool=$SEALGATE_BUILD/tests/mta/groupstool
[ -x "$tool" ] || skip "groupstool is not built"
servers_begin || exit 1
W=$SERVERS
suffix=dc=staff,dc=test
groups=ou=groups,$suffix

# person NAME MEMBEROF…
person() {
	printf 'dn: uid=%s,%s\nobjectClass: inetOrgPerson\ncn: %s\nsn: x\nuid: %s\nmail: %s@local.test\n' "$1" "$suffix" "$1" "$1" "$1"
	shift
	for group; do printf 'memberOf: cn=%s,%s\n' "$group" "$groups"; done
	echo
}
{
	ldif_suffix "$suffix"
	printf 'dn: %s\nobjectClass: organizationalUnit\nou: groups\n\n' "$groups"
	person alice board
	person bob staff
	person carol
	person "d*(ve)"
	printf 'dn: cn=board,%s\nobjectClass: groupOfNames\ncn: board\nmember: uid=alice,%s\nmemberOf: cn=staff,%s\n\n' "$groups" "$suffix" "$groups"
	printf 'dn: cn=staff,%s\nobjectClass: groupOfNames\ncn: staff\nmember: uid=bob,%s\nmember: cn=board,%s\nmemberOf: cn=all,%s\n\n' \
		"$groups" "$suffix" "$groups" "$groups"
	printf 'dn: cn=all,%s\nobjectClass: groupOfUniqueNames\ncn: all\nuniqueMember: cn=staff,%s\nmemberOf: cn=board,%s\n\n' "$groups" "$groups" "$groups"
	printf 'dn: cn=posix,%s\nobjectClass: posixGroup\ncn: posix\ngidNumber: 7\nmemberUid: carol\nmemberUid: d*(ve)\n\n' "$groups"
} >"$W/staff.ldif"
mkdir -p "$W/staff"
printf 'overlay memberof\n' >"$W/staff/extra.conf"
SLAPD_GLOBAL='include /etc/ldap/schema/nis.schema
moduleload memberof' slapd_up "$W/staff" "$suffix" "$W/staff.ldif" || exit 1
uri=$(cat "$W/staff/uri")

# settings FILE GROUPS [DIRECTORY]: a configuration with these lines
settings() {
	cat >"$1" <<-X
	organisation = { domains = "local.test"; };
	lookup = { error_ttl = "300ms"; negative_ttl = "0"; positive_ttl = "0"; };
	groups = { directory = "staff"; $2 };
	directories = ( { name = "staff"; uri = "${4:-$uri}"; base = "$suffix"; timeout = "1s"; certificates = false; ${3:-} } );
	X
}

# in_groups NAME CONF ADDRESS WANT
in_groups() {
	same "$1" "$3 $4" "$(echo "$3" | "$tool" "$W/$2" board staff "CN=All, $groups" posix nobody 2>>"$W/checks.log")"
}
settings "$W/memberof" ''
settings "$W/walk" 'nested = "walk";'
settings "$W/member" 'way = "member";'
settings "$W/memberwalk" "way = \"member\"; nested = \"walk\"; base = \"$groups\";"
settings "$W/domain" '' 'domains = "other.test";'
in_groups "memberOf" memberof alice@local.test "ok board"
in_groups "the other one" memberof bob@local.test "ok staff"
in_groups "in no group" memberof carol@local.test "ok "
in_groups "nobody" memberof zoe@local.test "ok "
in_groups "the null path" memberof "" "ok "
in_groups "groups in groups, and in a ring" walk alice@local.test "ok board,staff,CN=All, $groups"
in_groups "groups in groups, from the middle" walk bob@local.test "ok board,staff,CN=All, $groups"
in_groups "groups that name members" member alice@local.test "ok board"
in_groups "… by login" member carol@local.test "ok posix"
in_groups "… a login that looks like a filter" member 'd*(ve)@local.test' "ok posix"
in_groups "… in groups" memberwalk alice@local.test "ok board,staff,CN=All, $groups"
in_groups "a domain that the directory is not asked for" domain alice@local.test "ok "

# --- as Active Directory answers
port=$(free_port)
process_up "$W/fake" ad perl "$SEALGATE_SRC/tests/mta/fakeldap" "$port" ad && wait_port "$port" || exit 1
settings "$W/chain" 'nested = "chain";' '' "ldap://127.0.0.1:$port"
same "all groups in one question" "u1@here.test ok near,far" "$(echo u1@here.test | "$tool" "$W/chain" near far other 2>>"$W/checks.log")"
process_down "$W/fake" ad
port=$(free_port)
process_up "$W/fake" many perl "$SEALGATE_SRC/tests/mta/fakeldap" "$port" manygroups && wait_port "$port" || exit 1
settings "$W/many" '' '' "ldap://127.0.0.1:$port"
same "more groups than are believed" "u1@here.test temp dir-answer" "$(echo u1@here.test | "$tool" "$W/many" near 2>>"$W/checks.log")"

# --- no question is asked after the time limit, though each was answered in time; some of the groups are no answer
# slow NAME DELAY NESTED: a directory whose answers take so long each
slow() {
	port=$(free_port)
	process_up "$W/fake" "$1" env FAKELDAP_DELAY="$2" perl "$SEALGATE_SRC/tests/mta/fakeldap" "$port" "$1" && wait_port "$port" || exit 1
	settings "$W/slow-$1" "nested = \"$3\";" '' "ldap://127.0.0.1:$port"
	same "slow, $3" "u1@here.test temp dir-timeout" "$(echo u1@here.test | "$tool" "$W/slow-$1" near g0 2>>"$W/checks.log")"
	process_down "$W/fake" "$1"
}
slow ad 1.3 chain
slow deep 0.4 walk

# --- rules
"$SEALGATE_BUILD/sealgate" init --dir "$W/sealgate" --domain local.test >"$W/init.log" 2>&1 || exit 1
conf=$W/sealgate/sealgate.conf
sed -i '/^rules = (/,/^);/d; /^directories = /d' "$conf"
cp "$conf" "$W/plain.conf"
cat >>"$conf" <<X
lookup = { error_ttl = "300ms"; };
groups = { directory = "staff"; nested = "walk"; };
directories = ( { name = "staff"; uri = "$uri"; base = "$suffix"; timeout = "1s"; certificates = false; } );
rules = ( { name = "board"; sender_group = "board"; sign = "never"; message = "of the board"; },
	{ name = "to all"; recipient_group = "cn=all,$groups"; senders = "@elsewhere.test"; },
	{ name = "nobody"; recipient_group = "nobody"; sender_group = "nobody"; },
	{ name = "rest"; } );
X
letter() {
	printf 'From: %s\nTo: %s\nSubject: x\n\ntext\n' "$1" "$2"
}
# explained SENDER RCPT: the text
explained() {
	letter "$1" "$2" | gate explain --sender "$1" --rcpt "$2" 2>>"$W/checks.log"
}
# rule_for SENDER RCPT
rule_for() {
	letter "$1" "$2" | gate explain --json --sender "$1" --rcpt "$2" 2>>"$W/checks.log" |
		sed -n 's/.*"direction":"[a-z]*".*"rule":"\([a-z ]*\)","sign".*/\1/p'
}
check "the configuration is good" gate check
explained alice@local.test zoe@elsewhere.test >"$W/text"
check "explain: the sender's groups" grep -q "sender in  board, cn=all" "$W/text"
explained x@elsewhere.test bob@local.test >"$W/text"
check "explain: the recipient's groups" grep -q "groups *board, cn=all,$groups" "$W/text"
explained x@elsewhere.test bob@local.test | sed 's/^/| /' >>"$W/checks.log"
check "explain: a rule that does not match" grep -q 'board .* no, by sender_group (wants board)' "$W/text"
slapd_down "$W/staff"
explained alice@local.test zoe@elsewhere.test >"$W/text"
check "explain: who is in which group is not known" grep -q "sender in *unknown" "$W/text"
check "explain: why" grep -q "unknown .*directory staff" "$W/text"
check "explain: deferred" grep -q "451 4.4.3" "$W/text"
slapd_start "$W/staff"
cat >"$W/cases" <<X
sender=alice@local.test sender-group=board rcpt=z@elsewhere.test => rule=board
sender=alice@local.test rcpt=z@elsewhere.test => rule=rest
sender=alice@local.test sender-group=unknown rcpt=z@elsewhere.test => rule=board does=defer
sender=x@elsewhere.test rcpt=bob@local.test group=cn=all,$groups => rule="to all"
sender=x@elsewhere.test rcpt=bob@local.test group=nobody sender-group=nobody => rule=nobody
sender=x@elsewhere.test rcpt=bob@local.test group=unknown sender-group=board => rule=board
sender=y@third.test rcpt=bob@local.test group=unknown => rule=rest
X
check "policy test" gate policy test "$W/cases"
cp "$W/plain.conf" "$conf"
echo 'rules = ( { name = "g"; sender_group = "board"; } );' >>"$conf"
check "a group needs a directory" [ "$(gate check 2>&1 | grep -c 'sender_group.*groups.directory')" = 1 ]
echo 'groups = { directory = "nowhere"; };' >>"$conf"
check "which must be there" [ "$(gate check 2>&1 | grep -c 'no directory called nowhere')" = 1 ]
finish
