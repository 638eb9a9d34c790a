//! The bytes of every message. No release may change them, since other releases could not read them.

use super::*;
use crate::wire::frame::Message;

fn text(text: &str) -> String {
    text.to_owned()
}

fn lease() -> LeaseView {
    LeaseView {
        epoch: 1,
        holder: text("a"),
        incarnation: 2,
        remaining_us: 3,
        resp_address: text("r"),
        quic_address: text("q"),
        level: 4,
    }
}

fn progress() -> Progress {
    Progress { role: text("standby"), applied: 1, durable: 2, epoch: 3, last_takeover: text("none") }
}

fn health() -> HealthView {
    HealthView { no_room_since_unix_ms: 1, refused_appends: 2, refused_images: 3, why: text("full") }
}

fn image() -> ImageView {
    ImageView { cut: 1, epoch: 2, chunks: 3, bytes: 4, stored_unix_ms: 5 }
}

fn follower() -> FollowerView {
    FollowerView {
        node: text("b"),
        incarnation: 1,
        progress: progress(),
        pid: 2,
        resp_address: text("r"),
        quic_address: text("q"),
        age_us: 3,
        newest_level: 4,
    }
}

fn status() -> StatusView {
    StatusView {
        pid: 1,
        lease: lease(),
        durable: 2,
        oldest: 3,
        log_bytes: 4,
        images: vec![image()],
        health: health(),
        nodes: vec![follower()],
        newest_level: 5,
    }
}

fn requests() -> Vec<(Request, Digest)> {
    vec![
        (Request::Renew { epoch: 1 }, (49, 410_760_361)),
        (Request::Claim { seen: 1 }, (49, 2_710_720_857)),
        (Request::HandOver { epoch: 1, successor: text("b"), at: 2 }, (49, 729_052_229)),
        (Request::Release { epoch: 1 }, (49, 3_618_499_656)),
        (Request::Obituary { node: text("a"), incarnation: 1 }, (49, 1_936_383_664)),
        (Request::Report(progress()), (49, 2_949_882_990)),
        (Request::Status, (49, 1_610_311_345)),
        (Request::Append { epoch: 1 }, (49, 1_003_656_810)),
        (Request::Follow { after: 1 }, (49, 3_312_006_684)),
        (Request::ImagePut { epoch: 1, cut: 2 }, (49, 130_904_698)),
        (Request::ImageEnd { chunks: 1, bytes: 2 }, (49, 3_570_400_373)),
        (Request::ImageGet, (49, 3_615_456_214)),
        (Request::Position, (49, 4_107_688_213)),
        #[cfg(feature = "next-level")]
        (Request::Rehearse { number: 1 }, (49, 2_432_674_254)),
    ]
}

fn answers() -> Vec<(Answer, Digest)> {
    vec![
        (
            Answer::Welcome { incarnation: 1, lease_us: 2, durable: 3, lease: Box::new(lease()), level: 4 },
            (109, 1_476_291_643),
        ),
        (Answer::Lease(lease()), (59, 3_735_370_092)),
        (Answer::Claimed { epoch: 1, sealed: 2 }, (59, 2_770_243_344)),
        (Answer::Followers(vec![follower()]), (145, 425_645_138)),
        (Answer::Status(Box::new(status())), (309, 708_533_403)),
        (Answer::AppendReady { durable: 1 }, (59, 3_901_051_219)),
        (Answer::Durable { lsn: 1 }, (59, 2_751_274_713)),
        (Answer::Fenced { epoch: 1 }, (59, 2_597_659_743)),
        (Answer::Following { durable: 1 }, (59, 4_188_021_516)),
        (Answer::Trimmed { oldest: 1 }, (59, 3_230_144_906)),
        (Answer::ImageReady, (59, 1_779_212_361)),
        (Answer::ImageStored, (59, 1_394_907_855)),
        (Answer::Image(image()), (59, 52_234_247)),
        (Answer::NoImage, (59, 3_319_006_683)),
        (Answer::Refused { why: text("not so") }, (59, 1_284_189_294)),
        (Answer::Health(health()), (59, 563_403_400)),
        #[cfg(feature = "next-level")]
        (Answer::Rehearsed { number: 1 }, (59, 2_847_584_958)),
    ]
}

/// Length and CRC-32C of a message's bytes.
type Digest = (usize, u32);

fn digest(message: &impl Message) -> Digest {
    let bytes = message.archive(Vec::new());
    (bytes.len(), crc32c::crc32c(&bytes))
}

#[test]
fn no_message_has_other_bytes_than_in_the_release_that_brought_it() {
    let requests = requests().into_iter().map(|(request, known)| {
        let call = Call { seq: 7, request };
        let bytes = call.archive(Vec::new());
        assert_eq!(Call::open(&bytes).as_ref(), Some(&call));
        (format!("{:?}", call.request), digest(&call), known)
    });
    let answers = answers().into_iter().map(|(answer, known)| {
        let reply = Reply { seq: 7, answer };
        let bytes = reply.archive(Vec::new());
        assert_eq!(Reply::open(&bytes).as_ref(), Some(&reply));
        (format!("{:?}", reply.answer), digest(&reply), known)
    });
    let changed: Vec<_> = requests.chain(answers).filter(|(_, now, known)| now != known).collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// A message of a later release that is longer than all before it would move the bytes of each.
#[test]
fn the_variants_leave_no_gap_in_the_list_and_a_later_one_is_refused() {
    for (number, (request, _)) in requests().into_iter().enumerate() {
        let bytes = Call { seq: 7, request }.archive(Vec::new());
        let at = bytes.len() - size_of::<rkyv::Archived<Request>>();
        assert_eq!(usize::from(bytes[at]), number);
        let mut later = bytes.clone();
        later[at] = 200;
        assert_eq!(Call::open(&later), None);
    }
    for (number, (answer, _)) in answers().into_iter().enumerate() {
        let bytes = Reply { seq: 7, answer }.archive(Vec::new());
        assert_eq!(usize::from(bytes[bytes.len() - size_of::<rkyv::Archived<Answer>>()]), number);
    }
}
