/**
 * Shell functions for the scripts inside a workspace that know of the list of `content.ts`. The list and the objects lie in the
 * read-only base repository, so that every command reads the same, also after a takeover.
 *
 *   lay_content <base repository> <commit>   puts content into the work tree that is the current folder, where the commit still
 *                                            refers to it; names what it laid for LFS on standard output, NUL-ended
 *   content_paths <base repository> <kind>   path, id, also: three NUL-ended words each
 */
export const contentFunctions = `
content_paths() {
  if [ ! -f "$1/x1-content" ]; then return 0; fi
  local kind path id also
  while IFS= read -r -d '' kind && IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    if [ "$kind" = "$2" ]; then printf '%s\\0%s\\0%s\\0' "$path" "$id" "$also"; fi
  done < "$1/x1-content"
}
# Empties and fills a folder that must not be a link, whatever is there.
fill_folder() {
  rm -rf -- "./$2"; mkdir -p -- "./$2"
  GIT_DIR=$1 GIT_INDEX_FILE=$index git read-tree "$3"
  GIT_DIR=$1 GIT_INDEX_FILE=$index git --work-tree="./$2" checkout-index --all --force --quiet
  rm -f "$index"
}
lay_content() {
  if [ ! -f "$1/x1-content" ]; then return 0; fi
  local path id also there index
  there=$(mktemp) index=$(mktemp -u)
  declare -A at=()
  GIT_DIR=$1 git ls-tree -r -z --full-tree "$2" > "$there"
  sed -z -E 's/^[0-7]+ [a-z]+ ([0-9a-f]+)\\t/\\1 /' "$there" | sort -z -u > "$there.have"
  { content_paths "$1" lfs; content_paths "$1" submodule; } > "$there.list"
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    printf '%s %s\\0' "$id" "$path"
  done < "$there.list" | sort -z -u | comm -z -12 - "$there.have" > "$there.match"
  while IFS= read -r -d '' path; do at[$path]=1; done < "$there.match"
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    if [ -z "\${at["$id $path"]:-}" ]; then continue; fi
    if [ -x "./$path" ]; then mode=755; else mode=644; fi
    rm -rf -- "./$path"
    GIT_DIR=$1 git cat-file blob "$also" > "./$path"
    chmod "$mode" -- "./$path"
    printf '%s\\0' "$path"
  done < <(content_paths "$1" lfs)
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    if [ -z "\${at["$id $path"]:-}" ]; then continue; fi
    fill_folder "$1" "$path" "\${also:-$id}"
    at["laid $path"]=1
  done < <(content_paths "$1" submodule)
  # The list has a submodule before those that it holds.
  while IFS= read -r -d '' path && IFS= read -r -d '' id && IFS= read -r -d '' also; do
    if [ -z "\${at["laid $also"]:-}" ]; then continue; fi
    fill_folder "$1" "$path" "$id"
    at["laid $path"]=1
  done < <(content_paths "$1" nested)
  rm -f "$there" "$there.have" "$there.list" "$there.match"
}
`;
