//! `[meta]`: the app at Meta, and the Facebook pages and Instagram accounts that send to it, read from the configuration into a type
//! that cannot be wrong.

mod read;

use std::collections::BTreeSet;

use smista_domain::ChannelName;
use smista_settings::{SecretSource, Section};

use crate::read::ReadSettings;

/// Every code of this section's diagnostics.
pub mod codes {
    /// The name has not the form of a name.
    pub const NAME: &str = "meta-name";
    /// Two pages or accounts have one name.
    pub const NAME_TWICE: &str = "meta-name-twice";
    /// `id` is not a number as Meta gives them.
    pub const ID: &str = "meta-id";
    /// Two pages or accounts have one id.
    pub const ID_TWICE: &str = "meta-id-twice";
    /// No app secret named.
    pub const APP_SECRET: &str = "meta-app-secret";
    /// No verify token named.
    pub const VERIFY_TOKEN: &str = "meta-verify-token";
    /// An address of the Graph API that cannot be, or is not encrypted.
    pub const URL: &str = "meta-url";
    /// `version` is no version of the Graph API.
    pub const VERSION: &str = "meta-version";
    /// Neither page nor account.
    pub const NO_ACCOUNT: &str = "meta-no-account";

    /// All of them, for the test that says that codes are unique.
    pub const ALL: &[&str] =
        &[NAME, NAME_TWICE, ID, ID_TWICE, APP_SECRET, VERIFY_TOKEN, URL, VERSION, NO_ACCOUNT];
}

/// What an account is, and by which of Meta's two ways it lets us in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// A Facebook page.
    Page,
    /// An Instagram account that is linked to a page (graph.facebook.com).
    InstagramByFacebook,
    /// An Instagram account with a login of its own (graph.instagram.com).
    InstagramByItself,
}

/// One page or account: one channel.
#[derive(Debug, Clone)]
pub struct Account {
    /// `meta/comune`.
    pub name: ChannelName,
    /// Its id at Meta: `entry.id` of what is sent for it.
    pub id: String,
    /// What it is.
    pub kind: AccountKind,
    /// Its access token. This version does not call the Graph API, so it may be left out.
    pub token: Option<SecretSource>,
}

/// `[meta]`.
#[derive(Debug, Clone)]
pub struct MetaSettings {
    /// The secrets of which one signs what Meta sends; at least one. Several while one is changed, or for an Instagram app beside
    /// the Facebook one.
    pub app_secrets: Vec<SecretSource>,
    /// What Meta must say when it asks whether the address is ours.
    pub verify_token: SecretSource,
    /// Base URL of Facebook's Graph API, without a slash at its end. Not called in this version.
    pub graph_url: String,
    /// Base URL of Instagram's Graph API, without a slash at its end. Not called in this version.
    pub instagram_url: String,
    /// Version of the Graph API: `v26.0`.
    pub version: String,
    /// Pages and accounts; at least one, each name and id once.
    pub accounts: Vec<Account>,
}

impl MetaSettings {
    /// Reads `[meta]`. Whatever is wrong is in the section's diagnostics; `None` when it cannot be used.
    pub fn read(section: Section) -> Option<Self> {
        read::Reader::new(section).read()
    }

    /// How what is sent for these accounts is read.
    pub fn reading(&self) -> ReadSettings {
        let own: BTreeSet<String> = self.accounts.iter().map(|account| account.id.clone()).collect();
        ReadSettings { own, keep_everything: false }
    }

    /// The channel of a piece: that of the account with this id. What names no account (a bare change of Meta's dashboard) is for the
    /// only account that there is.
    pub fn channel_of(&self, id: &str) -> Option<&ChannelName> {
        match (id, self.accounts.as_slice()) {
            ("", [only]) => Some(&only.name),
            _ => self.accounts.iter().find(|account| account.id == id).map(|account| &account.name),
        }
    }
}
