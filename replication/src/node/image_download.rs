//! The steps of joining: request the newest image, receive its chunks, build the engine.

use tanist_db_core::engine::{Engine, EngineOptions};

use super::ImageLoad;
use crate::wire::message::{Answer, Request};

/// Why no engine comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownloadError {
    /// This image cannot be used. There may be a newer one.
    Unusable {
        /// Its position.
        cut: u64,
        /// A sentence that says what is wrong with it.
        why: String,
    },
    /// The vault's answer makes no sense.
    Final(String),
}

/// One attempt to load the newest image. Nothing of it is used unless all of it is sound.
#[derive(Debug)]
pub struct ImageDownload {
    options: EngineOptions,
    load: Option<(u64, ImageLoad)>,
}

impl ImageDownload {
    /// An attempt to make an engine like this.
    #[must_use]
    pub fn new(options: EngineOptions) -> ImageDownload {
        ImageDownload { options, load: None }
    }

    /// What opens the stream.
    #[must_use]
    pub fn request() -> Request {
        Request::ImageGet
    }

    /// The vault's answer to that. Returns the engine if there is nothing to load.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub fn answer(&mut self, answer: Answer) -> Result<Option<Engine>, DownloadError> {
        match answer {
            Answer::NoImage => Ok(Some(Engine::new(self.options))),
            Answer::Image(view) => {
                self.load = Some((view.cut, ImageLoad::new(view)));
                self.finish()
            }
            other => Err(DownloadError::Final(format!("the vault answers the request for an image with {other:?}"))),
        }
    }

    /// Takes the next chunk. Returns the engine if it was the last.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub fn chunk(&mut self, chunk: &[u8]) -> Result<Option<Engine>, DownloadError> {
        let Some((cut, load)) = &mut self.load else {
            return Err(DownloadError::Final("the vault sends a chunk of no image".to_owned()));
        };
        load.feed(chunk).map_err(|why| DownloadError::Unusable { cut: *cut, why })?;
        self.finish()
    }

    /// The vault has sent something else than a chunk, or breaks off: `why`.
    #[must_use]
    pub fn wrong(&self, why: String) -> DownloadError {
        match &self.load {
            Some((cut, load)) => DownloadError::Unusable { cut: *cut, why: load.wrong(&why) },
            None => DownloadError::Final(why),
        }
    }

    /// Chunks that are still to come.
    #[must_use]
    pub fn missing(&self) -> u32 {
        self.load.as_ref().map_or(0, |(_, load)| load.missing())
    }

    fn finish(&mut self) -> Result<Option<Engine>, DownloadError> {
        let Some((cut, load)) = self.load.take_if(|(_, load)| load.missing() == 0) else { return Ok(None) };
        let engine = load.finish(self.options);
        engine.map(Some).map_err(|why| DownloadError::Unusable { cut, why })
    }
}

#[cfg(test)]
mod tests {
    use tanist_db_core::clock::SystemClock;
    use tanist_db_core::ids::Epoch;
    use tanist_db_core::level::Levels;

    use super::*;
    use crate::wire::message::ImageView;

    const OPTIONS: EngineOptions = EngineOptions { shards: 2, memory_bytes_max: 0, hash_seed: 5, levels: Levels::OWN };

    /// An image's chunks, and how the vault announces it.
    fn image() -> (ImageView, Vec<Vec<u8>>) {
        let engine = Engine::new(OPTIONS);
        engine.begin_epoch(Epoch(2)).unwrap();
        let (version, _) = engine.try_freeze(&SystemClock::new()).unwrap();
        let cut = version.cut().0;
        let (mut walk, mut chunk, mut chunks) = (version.into_chunks(), Vec::new(), Vec::new());
        while walk.next_chunk(&mut chunk) {
            chunks.push(chunk.clone());
        }
        let count = u32::try_from(chunks.len()).unwrap();
        (ImageView { cut, chunks: count, ..ImageView::default() }, chunks)
    }

    #[test]
    fn an_engine_comes_with_the_last_chunk_or_at_once_if_there_is_no_image() {
        let (view, chunks) = image();
        let mut download = ImageDownload::new(OPTIONS);
        assert!(download.answer(Answer::Image(view.clone())).unwrap().is_none());
        let mut engine = None;
        for (number, chunk) in chunks.iter().enumerate() {
            assert_eq!(download.missing() as usize, chunks.len() - number);
            assert!(engine.is_none());
            engine = download.chunk(chunk).unwrap();
        }
        assert_eq!(engine.unwrap().last().0, view.cut);
        let empty = ImageDownload::new(OPTIONS).answer(Answer::NoImage).unwrap();
        assert_eq!(empty.unwrap().last().0, 0);
    }

    #[test]
    fn an_image_that_is_not_what_was_announced_is_not_used() {
        let (view, chunks) = image();
        let load = |options: EngineOptions, view: &ImageView, chunks: &[Vec<u8>]| {
            let mut download = ImageDownload::new(options);
            let answered = download.answer(Answer::Image(view.clone())).map(drop);
            answered.and_then(|()| chunks.iter().try_for_each(|chunk| download.chunk(chunk).map(drop)))
        };
        assert_eq!(load(OPTIONS, &view, &chunks), Ok(()));
        let unusable = |loaded| matches!(loaded, Err(DownloadError::Unusable { .. }));
        assert!(unusable(load(OPTIONS, &ImageView { cut: 9, ..view.clone() }, &chunks)));
        assert!(unusable(load(EngineOptions { shards: 4, ..OPTIONS }, &view, &chunks)));
        let mut damaged = chunks.clone();
        *damaged[0].last_mut().unwrap() ^= 1;
        assert!(unusable(load(OPTIONS, &view, &damaged)));
        let mut download = ImageDownload::new(OPTIONS);
        assert!(matches!(download.answer(Answer::ImageReady), Err(DownloadError::Final(_))));
        assert!(matches!(download.chunk(&chunks[0]), Err(DownloadError::Final(_))));
    }
}
