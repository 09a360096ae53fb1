# What a shell is told first. It can be said as one line in single quotes too, see `one_line`: a statement ends with a
# semicolon, and there is no single quote, no exclamation mark and no comment behind a statement.
echo "pool start";
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin;
export LC_ALL PATH;
set -f;
# me: who we are, from one process: uid=0(root) gid=0(root) groups=0(root). What has no name goes by its number.
me() {
  i=$(id);
  own_user=${i#uid=} own_group=${i#* gid=};
  own_user=${own_user%% gid=*} own_group=${own_group%% groups=*};
  uid=${own_user%%"("*} gid=${own_group%%"("*};
  uid=${uid%% *} gid=${gid%% *};
  case $own_user in "$uid("*) own_user=${own_user#*"("} own_user=${own_user%%")"*};; *) own_user=$uid;; esac;
  case $own_group in "$gid("*) own_group=${own_group#*"("} own_group=${own_group%%")"*};; *) own_group=$gid;; esac;
};
