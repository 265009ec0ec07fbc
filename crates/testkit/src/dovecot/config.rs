//! Dovecot's configuration in its two languages: 2.3 (Debian 12, Ubuntu 22.04 and 24.04) and 2.4 (Debian 13), which reads
//! nothing that was written for 2.3.

use std::{io, path::Path, process::Command};

/// Where the server is.
pub(super) const PROGRAM: &str = "/usr/sbin/dovecot";

/// What stands in the configuration.
pub(super) struct Plan<'a> {
    pub(super) dir: &'a Path,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) user: &'a str,
    pub(super) group: &'a str,
    pub(super) imap: u16,
    pub(super) imaps: u16,
    /// Announced instead of its own.
    pub(super) capability: Option<&'a str>,
    pub(super) require_tls: bool,
    /// Access tokens are good, too: whose they are is asked there.
    pub(super) introspection_url: Option<&'a str>,
    /// The mechanisms by which they come.
    pub(super) bearer: &'a str,
    /// Units of 1024 octets.
    pub(super) quota: Option<u32>,
}

/// The language's generation of the server that is installed: (2, 3), (2, 4).
pub(super) fn version() -> io::Result<(u32, u32)> {
    let said = Command::new(PROGRAM).arg("--version").output().map_err(|e| {
        io::Error::new(e.kind(), format!("{PROGRAM}: {e}: is the package dovecot-imapd installed?"))
    })?;
    let text = String::from_utf8_lossy(&said.stdout);
    parse_version(&text).ok_or_else(|| io::Error::other(format!("dovecot --version says {text:?}")))
}

/// `2.4.1-4 (7d8c0e5759)` and `2.3.19.1 (9b53102964)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(['.', '-', ' ']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

impl Plan<'_> {
    /// The file for a server of this version.
    pub(super) fn text(&self, version: (u32, u32)) -> String {
        let common = self.common();
        if version >= (2, 4) {
            format!("{}{common}", self.new_words())
        } else {
            format!("{common}{}", self.old_words())
        }
    }

    fn common(&self) -> String {
        let Self { user, group, imap, imaps, .. } = self;
        let d = self.dir.display();
        let ssl = if self.require_tls { "required" } else { "yes" };
        let bearer = self.introspection_url.map_or_else(String::new, |_| format!(" {}", self.bearer));
        let capability = self.capability.map_or_else(String::new, |c| format!("imap_capability = {c}\n"));
        format!(
            "base_dir = {d}/run\nstate_dir = {d}/state\ninstance_name = smista-test\nprotocols = imap\n\
             listen = 127.0.0.1\nlog_path = {d}/dovecot.log\ninfo_log_path = {d}/info.log\n\
             default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nauth_mechanisms = plain login{bearer}\nauth_failure_delay = 0\n\
             ssl = {ssl}\nssl_min_protocol = TLSv1.2\n{capability}\
             mail_fsync = never\nmailbox_idle_check_interval = 1 secs\nimap_idle_notify_interval = 20 secs\n\
             mail_max_userip_connections = 100\nnamespace inbox {{\n inbox = yes\n separator = /\n}}\n\
             service imap-login {{\n chroot =\n inet_listener imap {{\n  port = {imap}\n }}\n \
             inet_listener imaps {{\n  port = {imaps}\n  ssl = yes\n }}\n}}\n\
             service anvil {{\n chroot =\n}}\nservice stats {{\n chroot =\n}}\n"
        )
    }

    fn old_words(&self) -> String {
        let Self { uid, gid, .. } = self;
        let d = self.dir.display();
        let no_plain = if self.require_tls { "yes" } else { "no" };
        let bearer = self.introspection_url.map_or_else(String::new, |_| {
            format!(
                "passdb {{\n driver = oauth2\n mechanisms = {}\n args = {d}/oauth2.conf\n}}\n",
                self.bearer
            )
        });
        format!(
            "disable_plaintext_auth = {no_plain}\nssl_cert = <{d}/cert.pem\nssl_key = <{d}/key.pem\n\
             {bearer}passdb {{\n driver = passwd-file\n args = username_format=%u {d}/users\n}}\n\
             userdb {{\n driver = static\n args = uid={uid} gid={gid} home={d}/mail/%u\n}}\n\
             mail_location = maildir:~/Maildir\n{}",
            self.quota.map_or_else(String::new, |quota| {
                format!(
                    "mail_plugins = quota\nprotocol imap {{\n mail_plugins = quota imap_quota\n}}\n\
                     plugin {{\n quota = count:User quota\n quota_vsizes = yes\n quota_rule = *:storage={quota}K\n}}\n"
                )
            })
        )
    }

    /// The file for the oauth2 passdb of 2.3, where there is one.
    pub(super) fn oauth2(&self) -> Option<String> {
        let url = self.introspection_url?;
        Some(format!(
            "introspection_mode = post\nintrospection_url = {url}\nforce_introspection = yes\nusername_attribute = username\n\
             active_attribute = active\nactive_value = true\n"
        ))
    }

    /// The two versions must stand before everything else.
    fn new_words(&self) -> String {
        let Self { uid, gid, .. } = self;
        let d = self.dir.display();
        let plain = if self.require_tls { "no" } else { "yes" };
        let bearer = self.introspection_url.map_or_else(String::new, |url| {
            format!(
                "oauth2 {{\n introspection_mode = post\n introspection_url = {url}\n force_introspection = yes\n \
                 username_attribute = username\n active_attribute = active\n active_value = true\n}}\n"
            )
        });
        format!(
            "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n\
             auth_allow_cleartext = {plain}\nssl_server_cert_file = {d}/cert.pem\nssl_server_key_file = {d}/key.pem\n\
             {bearer}passdb passwd-file {{\n passwd_file_path = {d}/users\n}}\n\
             userdb static {{\n fields {{\n  uid = {uid}\n  gid = {gid}\n  home = {d}/mail/%{{user}}\n }}\n}}\n\
             mail_driver = maildir\nmail_path = ~/Maildir\n{}",
            self.quota.map_or_else(String::new, |quota| {
                format!(
                    "mail_plugins {{\n quota = yes\n}}\nprotocol imap {{\n mail_plugins {{\n  imap_quota = yes\n }}\n}}\n\
                     quota_storage_size = {quota}K\nquota \"User quota\" {{\n}}\n"
                )
            })
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_debian_and_ubuntu_say_them() {
        assert_eq!(parse_version("2.3.19.1 (9b53102964)\n"), Some((2, 3)));
        assert_eq!(parse_version("2.4.1-4 (7d8c0e5759)\n"), Some((2, 4)));
        assert_eq!(parse_version("dovecot"), None);
    }

    #[test]
    fn what_2_4_wants_first_stands_first() {
        let plan = Plan {
            dir: Path::new("/tmp/dv"),
            uid: 1,
            gid: 2,
            user: "a",
            group: "b",
            imap: 143,
            imaps: 993,
            capability: None,
            require_tls: true,
            introspection_url: Some("http://127.0.0.1:8080/introspect"),
            bearer: "xoauth2",
            quota: Some(100),
        };
        assert!(plan.text((2, 4)).starts_with("dovecot_config_version = "));
        assert!(!plan.text((2, 3)).contains("dovecot_config_version"));
        // 2.4.0: tokens need no passdb any more
        assert!(plan.text((2, 4)).contains("\noauth2 {") && !plan.text((2, 4)).contains("driver = oauth2"));
        assert!(plan.text((2, 3)).contains("driver = oauth2"));
        assert!(plan.text((2, 3)).contains("quota_rule = *:storage=100K"));
        assert!(plan.text((2, 4)).contains("quota_storage_size = 100K"));
    }
}
