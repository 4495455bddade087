//! The codec of every service: prost's, with a look at the shape of what systems send before it is decoded.
//!
//! Decoding makes a structure of every field, and an empty one takes two bytes on the wire and a hundred times as many
//! in memory: a message within its limit of bytes could take a gigabyte. So the fields of a document's header are
//! counted first, where they lie, and one with more than the limits allow is refused as it is after decoding.

use std::any::TypeId;
use std::marker::PhantomData;

use bytes::Buf as _;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::ProstCodec;

use super::{failure, pb};
use crate::domain::limits;
use crate::domain::reason::{Reason, Rejection};

/// See the module.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U> {
    types: PhantomData<(T, U)>,
}

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        BoundedCodec { types: PhantomData }
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = BoundedDecoder<T, U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder { inner: ProstCodec::<T, U>::default().decoder() }
    }
}

/// Decodes what has the right shape.
pub struct BoundedDecoder<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    inner: <ProstCodec<T, U> as Codec>::Decoder,
}

impl<T, U> Decoder for BoundedDecoder<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let is = |id: TypeId| TypeId::of::<U>() == id;
        // One message lies in one piece; what does not is not of this codec.
        if (is(TypeId::of::<pb::SendRequest>()) || is(TypeId::of::<pb::SendManyRequest>()))
            && buf.chunk().len() == buf.remaining()
        {
            check_send(buf.chunk()).map_err(|rejection| failure::status(&rejection))?;
        }
        self.inner.decode(buf)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.inner.buffer_settings()
    }
}

/// Field of the header in `SendRequest` and `SendManyRequest`; of metadata and parts in a header.
const HEADER: u32 = 1;
const METADATA: u32 = 5;
const PARTS: u32 = 6;

/// Counts the fields of a header, down to those of its metadata and parts. What cannot be read is left to the decoder,
/// which says so.
fn check_send(message: &[u8]) -> Result<(), Rejection> {
    let mut count = 0usize;
    each_field(message, &mut |field, header| {
        if field == HEADER {
            each_field(header, &mut |field, value| {
                count += 1;
                if matches!(field, METADATA | PARTS) {
                    each_field(value, &mut |_, _| count += 1);
                }
            });
        }
    });
    if count > limits::HEADER_FIELDS {
        return Err(Rejection::new(
            Reason::TooMany,
            "header",
            format!("{count} fields are more than the {} that a header may have", limits::HEADER_FIELDS),
        ));
    }
    Ok(())
}

/// Calls with every field of a message, and its bytes where it has a length.
fn each_field(mut message: &[u8], call: &mut dyn FnMut(u32, &[u8])) {
    while !message.is_empty() {
        let Ok((field, wire)) = decode_key(&mut message) else { return };
        if wire != WireType::LengthDelimited {
            call(field, &[]);
            if skip_field(wire, field, &mut message, DecodeContext::default()).is_err() {
                return;
            }
            continue;
        }
        let length = decode_varint(&mut message).ok().and_then(|n| usize::try_from(n).ok());
        let Some(value) = length.and_then(|n| message.get(..n)) else { return };
        call(field, value);
        message = &message[value.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> pb::SendHeader {
        let part =
            pb::PartUpload { name: "a".into(), signatures: vec![vec![1; 9].into()], ..Default::default() };
        pb::SendHeader {
            request_id: "r".into(),
            recipients: vec!["H09".into(); 3],
            metadata: Some(pb::Metadata { places_received: vec!["x".into(); 5], ..Default::default() }),
            parts: vec![part; 4],
            resume_offset: 7,
            ..Default::default()
        }
    }

    fn check(header: pb::SendHeader) -> Result<(), String> {
        let part = Some(pb::send_request::Part::Header(header.clone()));
        let one = check_send(&pb::SendRequest { part }.encode_to_vec());
        let many = pb::SendManyRequest { header: Some(header), data: vec![0x32; 900].into() };
        assert_eq!(check_send(&many.encode_to_vec()), one);
        one.map_err(|r| r.to_string())
    }

    #[test]
    fn a_header_is_counted_where_it_lies() {
        assert_eq!(check(header()), Ok(()));
        // What the limits of a document refuse is refused there, with what else there is to say.
        assert_eq!(
            check(pb::SendHeader { parts: vec![pb::PartUpload::default(); 10_000], ..header() }),
            Ok(())
        );
        let most = limits::HEADER_FIELDS;
        let mut places = header();
        places.metadata.as_mut().unwrap().places_received = vec![String::new(); most];
        let mut signatures = header();
        signatures.parts[3].signatures = vec![Default::default(); most];
        let parts = pb::SendHeader { parts: vec![pb::PartUpload::default(); most + 1], ..header() };
        let recipients = pb::SendHeader { recipients: vec![String::new(); most + 1], ..header() };
        for wrong in [places, signatures, parts, recipients] {
            let said = check(wrong).unwrap_err();
            assert!(said.contains("too_many") && said.contains("100000"), "{said}");
        }
    }

    #[test]
    fn content_is_not_looked_into_and_what_is_no_message_is_left_to_the_decoder() {
        let data = pb::send_request::Part::Data([0x32, 0x00].repeat(50_000).into());
        assert_eq!(check_send(&pb::SendRequest { part: Some(data) }.encode_to_vec()), Ok(()));
        assert_eq!(check_send(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]), Ok(()));
        assert_eq!(check_send(&[0xff; 40]), Ok(()));
    }
}
