//! What meets what: every row of the table in docs/decisions/0012, on the state machines of two nodes, in every order in
//! which messages and proofs can come. The way across real nodes is in `tests/kinds.rs`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use lienthong::domain::{Ask, AskState, DeliveryState, EndedBy, Reason, Status};
use world::{Judge, World};

const REVOKED: (Option<EndedBy>, Option<EndedBy>) = (Some(EndedBy::Revoked), Some(EndedBy::Revoked));
const REPLACED: (Option<EndedBy>, Option<EndedBy>) = (Some(EndedBy::Replaced), Some(EndedBy::Replaced));
const TAKEN_BACK: (Option<EndedBy>, Option<EndedBy>) = (Some(EndedBy::TakenBack), Some(EndedBy::TakenBack));

fn both<T: Clone>(one: T) -> (T, T) {
    (one.clone(), one)
}

// A revoke and its document on the way.

#[test]
fn a_revoke_that_comes_first_withdraws_the_document_at_both_nodes() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    let (revoke, _) = w.revoke(&id).unwrap();
    assert!(w.a.outgoing(&id).waits_for_revoke());
    w.carry(&revoke);
    assert!(!w.a.outgoing(&id).waits_for_revoke());
    w.carry(&id);
    assert_eq!(w.state(&id), DeliveryState::Withdrawn);
    assert_eq!(w.b.incoming(&id).reason, Some(Reason::Withdrawn));
    assert_eq!((w.a.outgoing(&id).ended, w.b.inbox()), (None, 0));
    assert_eq!(w.asked(&id).0, [(Ask::Revoke, AskState::Agreed)]);
    assert_eq!(w.a.counters().deliveries, 0);
    assert!(w.number_is_free("1"));
    w.finish();
}

#[test]
fn a_revoke_that_comes_second_takes_the_document_out_of_force_whichever_proof_is_back_first() {
    for document_first in [true, false] {
        let mut w = World::new();
        let id = w.send("1", "x", None).unwrap();
        w.arrive(&id, Judge::Valid).unwrap();
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        let order = if document_first { [id, revoke] } else { [revoke, id] };
        order.iter().for_each(|id| w.answer(id));
        assert_eq!((w.state(&id), w.ended(&id)), (DeliveryState::Delivered, REVOKED));
        assert_eq!(w.asked(&id), both(vec![(Ask::Revoke, AskState::Open)]));
        assert_eq!(w.fetch(&id).unwrap_err().reason, Reason::Revoked);
        assert_eq!(w.acknowledge(&id).unwrap_err().reason, Reason::Revoked);
        // It stays in the inbox, marked, until the recipient says that it cancelled it.
        assert_eq!(w.b.inbox(), 1);
        let answer = w.report(&id, Status::TakeBackAgreed, None).unwrap();
        assert_eq!(w.b.inbox(), 0);
        w.carry(&answer);
        assert_eq!(w.asked(&id), both(vec![(Ask::Revoke, AskState::Agreed)]));
        assert_eq!(w.statuses(&id), both(vec![(Status::TakeBackAgreed, false)]));
        // It had been delivered, and that counts.
        assert_eq!((w.a.counters().deliveries, w.a.counters().electronic), (1, 1));
        assert!(w.number_is_free("1"));
        w.finish();
    }
}

#[test]
fn a_revoke_that_meets_a_held_document_withdraws_it() {
    for held in [false, true] {
        let mut w = World::new();
        let id = w.send("1", "x", None).unwrap();
        w.arrive(&id, Judge::Hold).unwrap();
        w.answer(&id);
        let (revoke, _) = w.revoke(&id).unwrap();
        if held {
            w.arrive(&revoke, Judge::Hold).unwrap();
            w.answer(&revoke);
            // Nothing yet: what is held has no effect.
            assert_eq!(w.b.incoming(&id).state, lienthong::domain::fold::records::IncomingState::Held);
            assert_eq!((w.asked(&id).0, w.b.inbox()), (vec![(Ask::Revoke, AskState::Sent)], 2));
            w.release(&revoke, None).unwrap();
            w.answer(&revoke);
        } else {
            w.carry(&revoke);
        }
        w.answer(&id);
        assert_eq!((w.state(&id), w.b.inbox()), (DeliveryState::Withdrawn, 0));
        assert_eq!(w.asked(&id).0, [(Ask::Revoke, AskState::Agreed)]);
        assert_eq!(w.a.counters().deliveries, 0);
        assert_eq!(w.release(&id, None).unwrap_err().reason, Reason::NotHeld);
        w.finish();
    }
}

#[test]
fn a_held_revoke_takes_effect_when_it_is_released_and_not_when_it_is_refused() {
    for refused in [false, true] {
        let mut w = World::new();
        let id = w.delivered("1");
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Hold).unwrap();
        w.answer(&revoke);
        w.fetch(&id).unwrap();
        let reason = Reason::Signature(lienthong::signature::Reason::RevocationUnknown);
        w.release(&revoke, refused.then_some(reason)).unwrap();
        w.answer(&revoke);
        if refused {
            assert_eq!((w.ended(&id), w.asked(&id).0), (both(None), vec![(Ask::Revoke, AskState::Void)]));
            w.acknowledge(&id).unwrap();
        } else {
            assert_eq!((w.ended(&id), w.asked(&id)), (REVOKED, both(vec![(Ask::Revoke, AskState::Open)])));
            assert_eq!(w.acknowledge(&id).unwrap_err().reason, Reason::Revoked);
        }
        w.finish();
    }
}

#[test]
fn a_revoke_again_has_the_same_answer_before_and_after_it_was_answered() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (revoke, again) = w.revoke(&id).unwrap();
    assert!(!again);
    assert_eq!(w.revoke(&id).unwrap(), (revoke, true));
    w.carry(&revoke);
    // Known to be out of force: the same, no error.
    assert_eq!(w.revoke(&id).unwrap(), (revoke, true));
    let answer = w.report(&id, Status::TakeBackAgreed, None).unwrap();
    w.carry(&answer);
    assert_eq!(w.revoke(&id).unwrap(), (revoke, true));
    w.finish();
}

#[test]
fn a_revoke_that_is_refused_leaves_the_document_and_may_be_sent_again() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    let (first, _) = w.revoke(&id).unwrap();
    let reason = Reason::Signature(lienthong::signature::Reason::CertificateRevoked);
    w.arrive(&first, Judge::Refuse(reason)).unwrap();
    w.answer(&first);
    assert!(!w.a.outgoing(&id).waits_for_revoke());
    w.carry(&id);
    assert_eq!((w.state(&id), w.ended(&id)), (DeliveryState::Delivered, both(None)));
    let (second, again) = w.revoke(&id).unwrap();
    assert!(!again && second != first);
    w.carry(&second);
    assert_eq!(w.ended(&id), REVOKED);
    assert_eq!(w.asked(&id).0, [(Ask::Revoke, AskState::Void), (Ask::Revoke, AskState::Open)]);
    w.finish();
}

#[test]
fn a_revoke_that_was_given_up_counts_when_its_proof_comes_late() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (revoke, _) = w.revoke(&id).unwrap();
    w.arrive(&revoke, Judge::Valid).unwrap();
    w.give_up(&revoke);
    assert_eq!((w.ended(&id).0, w.asked(&id).0), (None, vec![(Ask::Revoke, AskState::Void)]));
    // Sent anew, it meets what is revoked already, and tells.
    let (second, _) = w.revoke(&id).unwrap();
    w.carry(&second);
    assert_eq!(w.ended(&id), REVOKED);
    // And the late proof of the first makes it the one that did.
    w.answer(&revoke);
    assert_eq!(w.a.outgoing(&id).ended.unwrap().message, revoke);
    assert_eq!(w.b.incoming(&id).ended.unwrap().message, revoke);
    w.finish();
}

#[test]
fn a_revoke_of_what_was_given_up_takes_it_out_of_force_where_it_did_arrive() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    w.arrive(&id, Judge::Valid).unwrap();
    w.give_up(&id);
    let (revoke, _) = w.revoke(&id).unwrap();
    w.carry(&revoke);
    assert_eq!(w.fetch(&id).unwrap_err().reason, Reason::Revoked);
    w.answer(&id);
    assert_eq!((w.state(&id), w.ended(&id)), (DeliveryState::Delivered, REVOKED));
    assert!(w.number_is_free("1"));
    w.finish();
}

#[test]
fn a_revoke_that_crosses_a_refusal_has_nothing_to_revoke() {
    let refused = Reason::Signature(lienthong::signature::Reason::UntrustedIssuer);
    for document_first in [true, false] {
        let mut w = World::new();
        let id = w.send("1", "x", None).unwrap();
        w.arrive(&id, Judge::Refuse(refused)).unwrap();
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        let order = if document_first { [id, revoke] } else { [revoke, id] };
        order.iter().for_each(|id| w.answer(id));
        assert_eq!((w.state(&id), w.a.outgoing(&id).ended), (DeliveryState::Refused, None));
        assert_eq!(w.asked(&id), (vec![(Ask::Revoke, AskState::Void)], vec![]));
        assert_eq!(w.a.counters().undelivered, 1);
        assert_eq!(w.revoke(&id).unwrap_err().reason, Reason::NotDelivered);
        w.finish();
    }
}

#[test]
fn a_node_that_says_withdrawn_of_what_nobody_revoked_has_refused_it() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    w.settle(&id, DeliveryState::Refused, Some(Reason::Withdrawn), 7);
    assert_eq!(w.state(&id), DeliveryState::Refused);
    assert_eq!((w.a.counters().deliveries, w.a.counters().undelivered), (1, 1));
    w.finish();
}

#[test]
fn a_revoke_of_another_document_than_the_one_that_comes_does_not_stop_it() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    let (revoke, _) = w.revoke(&id).unwrap();
    // The node of origin lies about what it revokes.
    let index = w.a.outgoing(&revoke).submitted_index as usize;
    if let lienthong::domain::EventKind::Submitted { item, .. } = &mut w.a.log[index].kind
        && let lienthong::domain::event::Subject::Notice(notice) = &mut item.subject
    {
        notice.stated.as_mut().unwrap().document_digest = lienthong::merkle::sha256(b"another");
    }
    w.arrive(&revoke, Judge::Valid).unwrap();
    w.arrive(&id, Judge::Valid).unwrap();
    assert_eq!(w.b.incoming(&id).reason, None);
    w.fetch(&id).unwrap();
}

#[test]
fn a_revoke_by_another_agency_does_not_take_the_place_of_the_senders() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    let (revoke, _) = w.revoke(&id).unwrap();
    w.carry(&revoke);
    w.revoke_by_another(&id);
    w.carry(&id);
    assert_eq!(w.state(&id), DeliveryState::Withdrawn);
    w.finish();
}

// A revoke and the recipient's statuses.

#[test]
fn a_revoke_that_meets_an_accept_on_the_way_is_in_force_and_the_accept_stands() {
    for status_first in [true, false] {
        let mut w = World::new();
        let id = w.delivered("1");
        w.acknowledge(&id).unwrap();
        let accepted = {
            let arrived = w.report(&id, Status::Arrived, None).unwrap();
            w.carry(&arrived);
            w.report(&id, Status::Accepted, None).unwrap()
        };
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        let late = w.report(&id, Status::Assigned, None).unwrap();
        if status_first {
            w.carry(&accepted);
            w.carry(&late);
            w.answer(&revoke);
        } else {
            w.answer(&revoke);
            w.carry(&accepted);
            w.carry(&late);
        }
        let expected = vec![(Status::Arrived, false), (Status::Accepted, false), (Status::Assigned, true)];
        assert_eq!((w.ended(&id), w.statuses(&id)), (REVOKED, both(expected)));
        // Acknowledged before, it stays acknowledged.
        w.acknowledge(&id).unwrap();
        w.finish();
    }
}

#[test]
fn a_refusal_by_the_recipient_counts_when_it_was_given_before_the_end_and_not_after() {
    for (before, status_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut w = World::new();
        let id = w.delivered("1");
        let mut refused = None;
        if before {
            refused = Some(w.report(&id, Status::Refused, None).unwrap());
        }
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        let refused = refused.unwrap_or_else(|| w.report(&id, Status::Refused, None).unwrap());
        if status_first {
            w.carry(&refused);
            w.answer(&revoke);
        } else {
            w.answer(&revoke);
            w.carry(&refused);
        }
        assert_eq!(w.ended(&id), REVOKED);
        let counters = w.a.counters();
        assert_eq!((counters.electronic, counters.undelivered), if before { (0, 1) } else { (1, 0) });
        assert!(w.number_is_free("1"));
        w.finish();
    }
}

#[test]
fn a_revoke_cannot_be_refused_and_an_answer_to_nothing_is_flagged() {
    let mut w = World::new();
    let id = w.delivered("1");
    let odd = w.report(&id, Status::TakeBackAgreed, None).unwrap();
    w.carry(&odd);
    let (revoke, _) = w.revoke(&id).unwrap();
    w.carry(&revoke);
    let refused = w.report(&id, Status::TakeBackRefused, None).unwrap();
    w.carry(&refused);
    let flagged = vec![(Status::TakeBackAgreed, true), (Status::TakeBackRefused, true)];
    assert_eq!((w.ended(&id), w.statuses(&id)), (REVOKED, both(flagged)));
    assert_eq!(w.asked(&id), both(vec![(Ask::Revoke, AskState::Open)]));
    w.finish();
}

// Take-back.

#[test]
fn a_take_back_ends_with_15_and_not_with_16() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (ask, _) = w.take_back(&id).unwrap();
    assert_eq!(w.take_back(&id).unwrap(), (ask, true));
    w.carry(&ask);
    let no = w.report(&id, Status::TakeBackRefused, None).unwrap();
    w.carry(&no);
    assert_eq!((w.ended(&id), w.asked(&id)), (both(None), both(vec![(Ask::TakeBack, AskState::Refused)])));
    assert!(!w.number_is_free("1"));
    let (again, before) = w.take_back(&id).unwrap();
    assert!(!before && again != ask);
    w.carry(&again);
    let yes = w.report(&id, Status::TakeBackAgreed, None).unwrap();
    assert_eq!(w.b.inbox(), 0);
    w.carry(&yes);
    assert_eq!(w.ended(&id), TAKEN_BACK);
    assert_eq!(w.fetch(&id).unwrap_err().reason, Reason::Revoked);
    assert_eq!(w.a.counters().electronic, 1);
    assert_eq!(w.take_back(&id).unwrap_err().reason, Reason::Revoked);
    assert!(w.number_is_free("1"));
    w.finish();
}

#[test]
fn a_take_back_or_update_of_what_is_not_with_the_recipient_is_refused() {
    let mut w = World::new();
    let id = w.send("1", "x", None).unwrap();
    assert_eq!(w.take_back(&id).unwrap_err().reason, Reason::NotDelivered);
    assert_eq!(w.update(&id, "u").unwrap_err().reason, Reason::NotDelivered);
    w.arrive(&id, Judge::Hold).unwrap();
    w.answer(&id);
    assert_eq!(w.take_back(&id).unwrap_err().reason, Reason::NotDelivered);
    w.release(&id, None).unwrap();
    w.answer(&id);
    w.take_back(&id).unwrap();
    w.finish();
}

#[test]
fn a_revoke_that_crosses_an_agreed_take_back_comes_too_late_to_be_what_ended_it() {
    for answer_first in [true, false] {
        let mut w = World::new();
        let id = w.delivered("1");
        let (ask, _) = w.take_back(&id).unwrap();
        w.carry(&ask);
        let yes = w.report(&id, Status::TakeBackAgreed, None).unwrap();
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        if answer_first {
            w.carry(&yes);
            w.answer(&revoke);
        } else {
            w.answer(&revoke);
            assert_eq!(w.ended(&id).0, Some(EndedBy::Revoked));
            w.carry(&yes);
        }
        assert_eq!(w.ended(&id), TAKEN_BACK);
        let asked = vec![(Ask::TakeBack, AskState::Agreed), (Ask::Revoke, AskState::Open)];
        assert_eq!(w.asked(&id), both(asked));
        w.finish();
    }
}

#[test]
fn a_revoke_that_comes_before_the_answer_to_a_take_back_is_what_ended_it() {
    for answer_first in [true, false] {
        let mut w = World::new();
        let id = w.delivered("1");
        let (ask, _) = w.take_back(&id).unwrap();
        w.carry(&ask);
        let (revoke, _) = w.revoke(&id).unwrap();
        w.arrive(&revoke, Judge::Valid).unwrap();
        // Two things are open: the answer must say to which.
        let unclear = w.report(&id, Status::TakeBackAgreed, None).unwrap_err();
        assert_eq!((unclear.reason, unclear.field.as_str()), (Reason::MissingField, "answers"));
        let yes = w.report(&id, Status::TakeBackAgreed, Some(ask)).unwrap();
        if answer_first {
            w.carry(&yes);
            w.answer(&revoke);
        } else {
            w.answer(&revoke);
            w.carry(&yes);
        }
        assert_eq!(w.ended(&id), REVOKED);
        assert_eq!(w.asked(&id).0, [(Ask::TakeBack, AskState::Agreed), (Ask::Revoke, AskState::Open)]);
        w.finish();
    }
}

#[test]
fn nothing_else_is_asked_of_what_is_being_revoked() {
    let mut w = World::new();
    let id = w.delivered("1");
    w.revoke(&id).unwrap();
    assert_eq!(w.take_back(&id).unwrap_err().reason, Reason::Revoked);
    assert_eq!(w.update(&id, "u").unwrap_err().reason, Reason::Revoked);
    w.finish();
}

#[test]
fn an_answer_that_overtakes_the_receipt_of_the_question_counts() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (ask, _) = w.take_back(&id).unwrap();
    w.arrive(&ask, Judge::Valid).unwrap();
    let yes = w.report(&id, Status::TakeBackAgreed, None).unwrap();
    w.carry(&yes);
    w.answer(&ask);
    assert_eq!((w.ended(&id), w.asked(&id)), (TAKEN_BACK, both(vec![(Ask::TakeBack, AskState::Agreed)])));
    w.finish();
}

// Update.

#[test]
fn an_update_is_in_force_when_it_is_agreed_to_and_only_then() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (first, _) = w.update(&id, "one").unwrap();
    assert_eq!(w.update(&id, "one").unwrap(), (first, true));
    let (second, again) = w.update(&id, "two").unwrap();
    assert!(!again);
    w.carry(&first);
    w.carry(&second);
    let unclear = w.report(&id, Status::TakeBackAgreed, None).unwrap_err();
    assert_eq!(unclear.reason, Reason::MissingField);
    for (status, answers) in [(Status::TakeBackAgreed, second), (Status::TakeBackRefused, first)] {
        let answer = w.report(&id, status, Some(answers)).unwrap();
        w.carry(&answer);
    }
    let asked = vec![(Ask::Update, AskState::Refused), (Ask::Update, AskState::Agreed)];
    assert_eq!((w.ended(&id), w.asked(&id)), (both(None), both(asked)));
    // Answered once: a second answer is flagged and changes nothing.
    let again = w.report(&id, Status::TakeBackRefused, Some(second)).unwrap();
    w.carry(&again);
    assert_eq!(w.asked(&id).1[1], (Ask::Update, AskState::Agreed));
    assert_eq!(w.statuses(&id).0.last(), Some(&(Status::TakeBackRefused, true)));
    assert_eq!(w.statuses(&id).1.last(), Some(&(Status::TakeBackRefused, true)));
    w.fetch(&id).unwrap();
    w.finish();
}

#[test]
fn an_update_or_take_back_that_meets_the_end_is_refused_at_the_recipient_and_void_at_the_origin() {
    for take_back in [false, true] {
        let mut w = World::new();
        let id = w.delivered("1");
        let new = w.send("2", "x", Some("1")).unwrap();
        let (ask, _) = if take_back { w.take_back(&id) } else { w.update(&id, "u") }.unwrap();
        w.arrive(&new, Judge::Valid).unwrap();
        w.carry(&ask);
        assert_eq!(w.b.incoming(&ask).reason, Some(Reason::Revoked));
        assert_eq!(w.asked(&id).0[0].1, AskState::Void);
        w.answer(&new);
        assert_eq!(w.ended(&id), REPLACED);
        w.finish();
    }
}

#[test]
fn a_held_update_that_is_released_after_the_end_is_refused() {
    let mut w = World::new();
    let id = w.delivered("1");
    let (update, _) = w.update(&id, "u").unwrap();
    w.arrive(&update, Judge::Hold).unwrap();
    w.answer(&update);
    let (revoke, _) = w.revoke(&id).unwrap();
    w.carry(&revoke);
    w.release(&update, None).unwrap();
    w.answer(&update);
    assert_eq!(w.b.incoming(&update).reason, Some(Reason::Revoked));
    assert_eq!((w.ended(&id), w.asked(&id).0[0].1), (REVOKED, AskState::Void));
    w.finish();
}

// Replace.

#[test]
fn a_replacement_takes_the_old_document_out_of_force_as_it_arrives() {
    for acknowledged in [false, true] {
        let mut w = World::new();
        let old = w.delivered("1");
        if acknowledged {
            w.acknowledge(&old).unwrap();
        }
        let new = w.send("2", "x", Some("1")).unwrap();
        w.carry(&new);
        assert_eq!((w.ended(&old), w.ended(&new)), (REPLACED, both(None)));
        assert_eq!(w.b.incoming(&new).replaced, Some(old));
        // The new one alone waits; both were delivered.
        assert_eq!((w.b.inbox(), w.a.counters().electronic), (1, 2));
        assert_eq!(w.fetch(&old).unwrap_err().reason, Reason::Revoked);
        w.fetch(&new).unwrap();
        assert_eq!(w.revoke(&old).unwrap_err().reason, Reason::Revoked);
        w.finish();
    }
}

#[test]
fn a_held_replacement_leaves_the_old_document_until_it_is_released() {
    let mut w = World::new();
    let old = w.delivered("1");
    let new = w.send("2", "x", Some("1")).unwrap();
    w.arrive(&new, Judge::Hold).unwrap();
    w.answer(&new);
    assert_eq!(w.ended(&old), both(None));
    w.fetch(&old).unwrap();
    w.release(&new, None).unwrap();
    w.answer(&new);
    assert_eq!(w.ended(&old), REPLACED);
    w.finish();
}

#[test]
fn a_refused_replacement_changes_nothing() {
    let mut w = World::new();
    let old = w.delivered("1");
    let new = w.send("2", "x", Some("1")).unwrap();
    w.arrive(&new, Judge::Refuse(Reason::SealRequired)).unwrap();
    w.answer(&new);
    assert_eq!(w.ended(&old), both(None));
    w.acknowledge(&old).unwrap();
    w.finish();
}

#[test]
fn what_is_on_its_way_cannot_be_replaced() {
    use lienthong::domain::decide::replaceable;
    let mut w = World::new();
    let old = w.send("1", "x", None).unwrap();
    let check = |w: &World| {
        let key = w.a.outgoing(&old).facts.key.unwrap();
        let (from, to) = (world::agency(world::SENDER), world::agency(world::RECIPIENT));
        replaceable(&w.a, &from, &key, &to).unwrap().map_err(|r| r.reason)
    };
    assert_eq!(check(&w), Err(Reason::NotDelivered));
    w.arrive(&old, Judge::Hold).unwrap();
    w.answer(&old);
    assert_eq!(check(&w), Err(Reason::NotDelivered));
    w.release(&old, None).unwrap();
    w.answer(&old);
    assert_eq!(check(&w), Ok(()));
    w.finish();
}

#[test]
fn a_replacement_of_what_its_recipient_only_holds_withdraws_it_there() {
    let mut w = World::new();
    let old = w.send("1", "x", None).unwrap();
    w.arrive(&old, Judge::Hold).unwrap();
    w.give_up(&old);
    let new = w.send("2", "x", Some("1")).unwrap();
    w.carry(&new);
    assert_eq!(w.b.incoming(&old).reason, Some(Reason::Withdrawn));
    assert_eq!((w.b.inbox(), w.b.incoming(&new).replaced), (1, Some(old)));
    w.answer(&old);
    assert_eq!(w.state(&old), DeliveryState::Refused);
    w.finish();
}

#[test]
fn a_revoke_and_a_replacement_that_cross_leave_what_the_recipient_has_first() {
    for (revoke_first, revoke_proof_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut w = World::new();
        let old = w.delivered("1");
        let new = w.send("2", "x", Some("1")).unwrap();
        let (revoke, _) = w.revoke(&old).unwrap();
        let order = if revoke_first { [revoke, new] } else { [new, revoke] };
        for id in &order {
            w.arrive(id, Judge::Valid).unwrap();
        }
        let order = if revoke_proof_first { [revoke, new] } else { [new, revoke] };
        order.iter().for_each(|id| w.answer(id));
        assert_eq!(w.ended(&old), if revoke_first { REVOKED } else { REPLACED });
        assert_eq!((w.state(&new), w.ended(&new)), (DeliveryState::Delivered, both(None)));
        w.finish();
    }
}

// Ratios.

#[test]
fn a_corrected_attempt_that_is_withdrawn_leaves_what_had_been_delivered() {
    let mut w = World::new();
    let first = w.delivered("1");
    let before = w.a.counters();
    let (revoke, _) = w.revoke(&first).unwrap();
    w.carry(&revoke);
    let second = w.send("1", "corrected", None).unwrap();
    assert_eq!(w.a.counters().pending, 1);
    let (revoke, _) = w.revoke(&second).unwrap();
    w.carry(&revoke);
    w.carry(&second);
    assert_eq!(w.state(&second), DeliveryState::Withdrawn);
    assert_eq!(w.a.counters(), before);
    w.finish();
}
