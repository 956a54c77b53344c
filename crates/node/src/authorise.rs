//! Who may call what: every RPC has a rule, and one without a rule is refused.
//!
//! The certificate says who calls; a rule says which roles may. What depends on the request (own messages only,
//! own country's inbox) is the service's business.

use std::collections::BTreeMap;

use i247_model::{CountryCode, Identity, Reason, Refusal};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// What kind of caller an [`Identity`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The secretariat's certificate authority.
    Authority,
    /// A hub.
    Hub,
    /// A reviewer of the secretariat.
    Reviewer,
    /// An operator.
    Operator,
    /// A bureau.
    Bureau,
    /// A country's authority for its officers and posts.
    NationalAuthority,
    /// An officer.
    Officer,
    /// A national post.
    Post,
    /// An international entity.
    Entity,
}

impl Role {
    /// The role of an identity, and the country that it belongs to.
    pub fn of(identity: &Identity) -> (Self, Option<CountryCode>) {
        match identity {
            Identity::Authority => (Self::Authority, None),
            Identity::Hub(_) => (Self::Hub, None),
            Identity::Reviewer(_) => (Self::Reviewer, None),
            Identity::Operator(_) => (Self::Operator, None),
            Identity::Bureau(country) => (Self::Bureau, Some(*country)),
            Identity::NationalAuthority(country) => (Self::NationalAuthority, Some(*country)),
            Identity::Officer(country, _) => (Self::Officer, Some(*country)),
            Identity::Post(country, _) => (Self::Post, Some(*country)),
            Identity::Entity(_) => (Self::Entity, None),
        }
    }
}

/// Who may make a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Whoever has a certificate of this network.
    AnyPeer,
    /// These roles.
    Roles(&'static [Role]),
    /// These roles; those that belong to a country only if it is this one.
    OfCountry(CountryCode, &'static [Role]),
}

impl Rule {
    /// Whether `identity` may.
    pub fn admits(&self, identity: &Identity) -> bool {
        let (role, home) = Role::of(identity);
        match self {
            Self::AnyPeer => true,
            Self::Roles(roles) => roles.contains(&role),
            Self::OfCountry(country, roles) => {
                roles.contains(&role) && home.is_none_or(|home| home == *country)
            }
        }
    }
}

/// The rules of one listener, and what its RPCs look like.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    calls: BTreeMap<String, Call>,
    strangers: Vec<String>,
}

#[derive(Debug, Clone)]
struct Call {
    shape: Shape,
    rule: Option<Rule>,
}

/// In which directions an RPC streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The caller sends any number of messages; otherwise exactly one.
    pub caller_streams: bool,
    /// The answer is any number of messages; otherwise one.
    pub answer_streams: bool,
}

/// A descriptor that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the descriptor of the services cannot be decoded")]
pub struct DescriptorError(#[source] prost::DecodeError);

impl Rules {
    /// The rules for `services` (full names, such as `i247.v1.ExchangeService`) of an encoded `FileDescriptorSet`.
    /// `table` names each RPC by its path, such as `/i247.v1.ExchangeService/Connect`. Health and reflection are
    /// added by themselves, for any peer.
    ///
    /// See [`Self::uncovered`] for what the table forgot.
    pub fn new(
        descriptor: &[u8],
        services: &[&str],
        table: impl IntoIterator<Item = (&'static str, Rule)>,
    ) -> Result<Self, DescriptorError> {
        let mut rules = Self::default();
        rules.add_services(descriptor, |name| services.contains(&name), None)?;
        for (path, rule) in table {
            match rules.calls.get_mut(path) {
                Some(call) => call.rule = Some(rule),
                None => rules.strangers.push(path.to_owned()),
            }
        }
        for standard in [tonic_health::pb::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET]
        {
            rules.add_services(standard, |_| true, Some(Rule::AnyPeer))?;
        }
        Ok(rules)
    }

    /// The paths of RPCs without a rule, and of rules without an RPC. A test holds it empty.
    pub fn uncovered(&self) -> Vec<String> {
        let without = self.calls.iter().filter(|(_, call)| call.rule.is_none()).map(|(path, _)| path);
        without.chain(&self.strangers).cloned().collect()
    }

    /// What the RPC at `path` looks like; `None` when there is no such RPC here.
    pub fn shape(&self, path: &str) -> Option<Shape> {
        self.calls.get(path).map(|call| call.shape)
    }

    /// Whether `caller` may call `path`. An RPC that has no rule, or is not known here, nobody may.
    pub fn check(&self, path: &str, caller: &Identity) -> Result<(), Refusal> {
        let rule = self.calls.get(path).and_then(|call| call.rule.as_ref());
        if rule.is_some_and(|rule| rule.admits(caller)) {
            return Ok(());
        }
        Err(Refusal::of(Reason::NotAuthorised, path.trim_start_matches('/')))
    }

    fn add_services(
        &mut self,
        descriptor: &[u8],
        wanted: impl Fn(&str) -> bool,
        rule: Option<Rule>,
    ) -> Result<(), DescriptorError> {
        let set = FileDescriptorSet::decode(descriptor).map_err(DescriptorError)?;
        for file in &set.file {
            for service in &file.service {
                let name = format!("{}.{}", file.package(), service.name());
                if !wanted(&name) {
                    continue;
                }
                for method in &service.method {
                    let shape = Shape {
                        caller_streams: method.client_streaming(),
                        answer_streams: method.server_streaming(),
                    };
                    let path = format!("/{name}/{}", method.name());
                    self.calls.insert(path, Call { shape, rule: rule.clone() });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBMIT: &str = "/i247.v1.ExchangeService/Submit";

    fn rules(table: Vec<(&'static str, Rule)>) -> Rules {
        Rules::new(i247_wire::DESCRIPTOR, &["i247.v1.ExchangeService"], table).unwrap()
    }

    fn who(path: &str) -> Identity {
        format!("spiffe://i247.test/{path}").parse().unwrap()
    }

    #[test]
    fn an_rpc_without_a_rule_is_refused_and_named() {
        let rules = rules(vec![(SUBMIT, Rule::Roles(&[Role::Bureau]))]);
        assert!(rules.check(SUBMIT, &who("ncb/fr")).is_ok());
        let refusal = rules.check("/i247.v1.ExchangeService/Connect", &who("ncb/fr")).unwrap_err();
        assert_eq!(refusal.reason, Reason::NotAuthorised);
        assert_eq!(refusal.fields, ["i247.v1.ExchangeService/Connect"]);
        assert!(rules.uncovered().contains(&"/i247.v1.ExchangeService/Connect".to_owned()));
        assert!(!rules.uncovered().contains(&SUBMIT.to_owned()));
    }

    #[test]
    fn a_rule_for_an_rpc_that_does_not_exist_is_named() {
        let rules = rules(vec![("/i247.v1.ExchangeService/Sumbit", Rule::AnyPeer)]);
        assert!(rules.uncovered().contains(&"/i247.v1.ExchangeService/Sumbit".to_owned()));
        assert!(rules.check("/i247.v1.ExchangeService/Sumbit", &who("ncb/fr")).is_err());
    }

    #[test]
    fn a_rule_may_hold_to_one_country() {
        let rule = Rule::OfCountry("FR".parse().unwrap(), &[Role::Officer, Role::Operator]);
        assert!(rule.admits(&who("ncb/fr/officer/duty")));
        assert!(!rule.admits(&who("ncb/br/officer/duty")));
        assert!(!rule.admits(&who("ncb/fr")));
        assert!(rule.admits(&who("operator/ops")));
    }

    #[test]
    fn health_and_reflection_are_for_any_peer() {
        let rules = rules(vec![]);
        assert!(rules.check("/grpc.health.v1.Health/Check", &who("entity/icc")).is_ok());
        assert!(
            rules.check("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &who("ncb/fr")).is_ok()
        );
        assert!(!rules.uncovered().iter().any(|path| path.starts_with("/grpc.")));
    }

    #[test]
    fn the_shape_of_an_rpc_comes_from_the_descriptor() {
        let rules = rules(vec![]);
        let both = Shape { caller_streams: true, answer_streams: true };
        assert_eq!(rules.shape("/i247.v1.ExchangeService/Connect"), Some(both));
        let neither = Shape { caller_streams: false, answer_streams: false };
        assert_eq!(rules.shape(SUBMIT), Some(neither));
        assert_eq!(rules.shape("/i247.v1.ExchangeService/Nothing"), None);
    }
}
