//! Names like one that does not exist, for the text on a typo.

use muster_proto::v1;
use muster_rules::defaults;
use tokio::time::{Instant, timeout_at};

use crate::calls::{What, request};
use crate::client::{Shared, gave_up};
use crate::instance::ServiceName;
use crate::servers::Lane;
use crate::telemetry::ObservedCall;

impl Shared {
    /// Services of the namespace whose names are like this one. None if the registry does not say:
    /// they are a help, no more.
    pub(crate) async fn similar(&self, wanted: &ServiceName) -> Vec<String> {
        let what = What {
            op: "list services",
            subject: &wanted.namespace,
            headers: &self.config.telemetry.headers(),
            brief: false,
        };
        let message = v1::ListServicesRequest {
            namespace: wanted.namespace.clone(),
            page_size: defaults::SIMILAR_PAGE,
            ..Default::default()
        };
        let attempt = |lane: Lane, deadline| {
            let message = message.clone();
            async move {
                let mut stub = lane.connection.discovery();
                stub.list_services(request(message, deadline)).await
            }
        };
        self.budget.call();
        let deadline = Instant::now() + defaults::SIMILAR_TIMEOUT;
        let mut call = ObservedCall::begin();
        let page = timeout_at(deadline, self.try_once(what, deadline, &attempt, &mut call)).await;
        let page = page.unwrap_or_else(|_| Err(gave_up(what.op, what.subject, None)));
        call.finish(&self.config.telemetry, what, &page);
        let Ok(page) = page else {
            return Vec::new();
        };
        let states = page.services.into_iter().filter_map(|s| s.state);
        let known: Vec<ServiceName> = states
            .map(|s| ServiceName::new(s.namespace, s.service))
            .collect();
        similar(wanted, &known)
    }
}

/// Names like this one, for the text on a typo: those within two edits, nearest first, at most 3.
fn similar(wanted: &ServiceName, known: &[ServiceName]) -> Vec<String> {
    let mut near: Vec<(usize, String)> = known
        .iter()
        .filter(|k| k.namespace == wanted.namespace && *k != wanted)
        .map(|k| (edits(&wanted.service, &k.service), k.to_string()))
        .filter(|(distance, _)| *distance <= 2)
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two names.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_are_near() {
        let n = |s: &str| ServiceName::new("shop", s);
        let known = [
            n("payments"),
            n("payment"),
            n("cart"),
            ServiceName::new("test", "paymnets"),
        ];
        assert_eq!(
            similar(&n("paymnets"), &known),
            ["shop/payments", "shop/payment"]
        );
        assert!(similar(&n("orders"), &known).is_empty());
    }
}
