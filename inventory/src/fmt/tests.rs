use super::*;

fn formatted(text: &str) -> String {
    format(text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn indentation_order_quotes_and_blank_lines_become_canonical() {
    let text = "\
# About this file.

pools:
    # The front.
    web:   # of the shop
        hosts:   2
        bootstrap:
            packages:
            - chrony
            -   'curl'
            files:
                /etc/x:
                    content: |
                        one
                          two

                        three
                # The end of files.
        labels: {
            a: 'b',
        }


# Who pays.
tenants: { retail: {} }
name: 'x'
version: 1   
# The last word.
";
    let wanted = "\
# About this file.

version: 1
name: \"x\"

# Who pays.
tenants: { retail: {} }

pools:
  # The front.
  web:   # of the shop
    hosts: 2
    bootstrap:
      packages:
        - chrony
        - \"curl\"
      files:
        /etc/x:
          content: |
              one
                two

              three
        # The end of files.
    labels: {
        a: \"b\",
    }

# The last word.
";
    assert_eq!(formatted(text), wanted);
    assert_eq!(formatted(wanted), wanted);
}

#[test]
fn what_is_canonical_stays_byte_for_byte() {
    let text = "version: 1\nname: a\n\n# One.\n\n# Two.\npools:\n  web:\n    hosts: 1\n";
    assert_eq!(formatted(text), text);
}

#[test]
fn values_with_meaningful_blanks_survive() {
    for text in [
        "version: 1\nname: a\nx:\n    y: |+\n        a\n\n\nz: 1\n",
        "a:\n     - |2\n          x\n     - >-\n       folded\n       more\n",
        "a: 'it''s'\nb: \"x\n   y  \n   z\"\n",
        "---\nversion: 1\nname: a\n",
        "a:\n- - b\n  -   c\n- d: 1\n  e: 2\n",
        "? a\n: b\n",
        "",
        "# only a comment",
        "a:\n\n\n\n  b: 1",
        "\u{feff}a: 1\r\nb:\r\n    c: 2\r\n",
    ] {
        let once = formatted(text);
        assert_eq!(formatted(&once), once, "{text:?}");
    }
}

#[test]
fn what_is_not_yaml_is_refused() {
    assert!(format("a: [").is_err());
}
